"""Real input: a language model on the CPU, whose server's own counts are what Tollgate must charge."""

import re
from decimal import Decimal

import openai
import pytest

from llama_server import MODEL
from real_model import PRICES, RealModel
from sdk import content, items, settled
from support import cost, dictionary, eventually, http, meters, plain

# Without its cache of prompts, the same request is counted in the same way every time.
ASK = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Name three colours."}],
    "max_tokens": 12,
    "temperature": 0,
    "seed": 1,
    "extra_body": {"cache_prompt": False},
}
LONG = {**ASK, "messages": [{"role": "user", "content": "Tell a long story."}], "max_tokens": 48}
ENDLESS = {**LONG, "max_tokens": 512}


@pytest.fixture(scope="module")
def model():
    model = RealModel()
    try:
        yield model
        assert model.tollgate.audit() == []
    finally:
        model.stop()


@pytest.fixture(scope="module")
def direct(model):
    """The same server, asked without Tollgate."""
    return openai.OpenAI(base_url=f"{model.url}/v1", api_key="none")


def server_counts(model):
    """Tokens that the server read and wrote since its start, by its own metrics."""
    _, text = http(f"{model.url}/metrics")
    counts = dict(re.findall(r"^llamacpp:(\w+) (\d+)", text, re.MULTILINE))
    return int(counts["prompt_tokens_total"]), int(counts["tokens_predicted_total"])


def is_busy(model):
    return any(slot["is_processing"] for slot in http(f"{model.url}/slots")[1])


def charged(usage):
    return plain(cost(usage, PRICES))


async def test_an_answer_is_charged_what_the_server_reports(sdk, model, direct):
    expected = direct.chat.completions.create(**ASK)
    customer = model.tollgate.customer()
    client = sdk(model.tollgate.base_url, customer.secret)
    read, written = server_counts(model)
    raw = await settled(client.chat.completions.with_raw_response.create(**ASK))
    answer = raw.parse()
    assert answer.choices[0].message.content == expected.choices[0].message.content
    assert meters(answer.usage) == meters(expected.usage)
    usage = dictionary(raw.headers["x-tollgate-usage"])
    assert usage == meters(answer.usage)
    after = server_counts(model)
    assert (after[0] - read, after[1] - written) == (usage["input"], usage["output"])
    assert raw.headers["x-tollgate-counted"] == "exact"
    assert raw.headers["x-tollgate-cost"] == charged(usage)
    assert customer.wallet()["balance"] == plain(Decimal(10) - cost(usage, PRICES))


@pytest.mark.parametrize("include_usage", [True, False])
async def test_a_stream_is_charged_what_the_server_reports(sdk, model, direct, include_usage):
    expected = direct.chat.completions.create(**ASK)
    customer = model.tollgate.customer()
    client = sdk(model.tollgate.base_url, customer.secret)
    options = {"stream_options": {"include_usage": True}} if include_usage else {}
    chunks = await items(client.chat.completions.create(stream=True, **options, **ASK))
    assert content(chunks) == expected.choices[0].message.content
    receipt = customer.receipts()[0]
    assert receipt["usage"] == meters(expected.usage)
    assert (receipt["counted"], receipt["cost"]) == ("exact", charged(receipt["usage"]))
    if include_usage:
        assert meters(chunks[-1].usage) == receipt["usage"]
        assert chunks[-1].usage.cost == receipt["cost"]
    else:
        assert all(chunk.usage is None for chunk in chunks)


async def test_what_the_server_had_cached_is_cheaper(sdk, model):
    customer = model.tollgate.customer()
    client = sdk(model.tollgate.base_url, customer.secret)
    ask = {**ASK, "extra_body": {"cache_prompt": True}, "max_tokens": 2}
    await settled(client.chat.completions.create(**ask))
    raw = await settled(client.chat.completions.with_raw_response.create(**ask))
    usage = dictionary(raw.headers["x-tollgate-usage"])
    assert usage["cached_input"] > 0
    assert usage == meters(raw.parse().usage)
    assert raw.headers["x-tollgate-cost"] == charged(usage)


def leave(client, **ask):
    """Reads a stream's first words, and goes away."""
    stream = client.chat.completions.create(stream=True, **ask)
    for chunk in stream:
        if content([chunk]):
            break
    stream.close()
    client.close()


def test_a_client_that_leaves_is_charged_for_all_of_it_by_default(model, direct):
    expected = direct.chat.completions.create(**LONG)
    customer = model.tollgate.customer(on_disconnect="drain")
    leave(openai.OpenAI(base_url=model.tollgate.base_url, api_key=customer.secret), **LONG)
    customer.settled()
    receipt = customer.receipts()[0]
    assert receipt["usage"] == meters(expected.usage)
    assert (receipt["counted"], receipt["cost"]) == ("exact", charged(receipt["usage"]))
    assert receipt["flags"] == ["client_gone"]


def test_a_client_that_cancels_stops_the_model_and_pays_for_what_it_got(model):
    customer = model.tollgate.customer(on_disconnect="cancel")
    _, written = server_counts(model)
    leave(openai.OpenAI(base_url=model.tollgate.base_url, api_key=customer.secret), **ENDLESS)
    customer.settled()
    eventually(lambda: not is_busy(model), "the model to stop")
    receipt = customer.receipts()[0]
    assert receipt["counted"] == "partial"
    assert 0 < receipt["usage"]["output"] < 512
    assert receipt["cost"] == charged(receipt["usage"])
    assert receipt["flags"][-1] == "client_gone"
    assert server_counts(model)[1] - written < 512
