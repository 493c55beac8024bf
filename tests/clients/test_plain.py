"""Completions of plain text and embeddings by the official SDK, from the built-in simulator."""

from decimal import Decimal

import openai
import pytest

from conftest import PRICES
from sdk import items, settled
from support import cost, dictionary, meters, plain

PROMPT = "Once upon a time"


def charged(customer):
    """What the customer's one request was charged, once its books agree."""
    receipt = customer.receipts()[0]
    assert receipt["counted"] == "exact" and receipt["shortfall"] == "0"
    assert customer.wallet()["balance"] == plain(Decimal(10) - Decimal(receipt["cost"]))
    return receipt["usage"], receipt["cost"]


async def test_a_completion_costs_what_its_usage_says(sdk, proxy):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    completion = await settled(
        client.completions.create(model="sim/text", prompt=[PROMPT, "Twice"], n=2, max_tokens=20)
    )
    assert completion.object == "text_completion"
    assert len(completion.choices) == 4 and all(choice.text for choice in completion.choices)
    usage = meters(completion.usage)
    assert usage == {"input": 5, "output": 80}
    assert charged(customer) == (usage, plain(cost(usage, PRICES["sim/text"])))


async def test_a_streamed_completion_is_the_same_text_and_the_same_price(sdk, proxy):
    whole = proxy.customer()
    client = sdk(proxy.base_url, whole.secret)
    completion = await settled(client.completions.create(model="sim/text", prompt=PROMPT, max_tokens=30))
    for include_usage in (False, True):
        customer = proxy.customer()
        client = sdk(proxy.base_url, customer.secret)
        options = {"stream_options": {"include_usage": True}} if include_usage else {}
        chunks = await items(
            client.completions.create(model="sim/text", prompt=PROMPT, max_tokens=30, stream=True, **options)
        )
        text = "".join(choice.text for chunk in chunks for choice in chunk.choices)
        assert text == completion.choices[0].text
        assert bool(chunks[-1].usage) == include_usage
        if include_usage:
            assert meters(chunks[-1].usage) == meters(completion.usage)
        assert charged(customer) == charged(whole)


async def test_embeddings_come_as_the_sdk_asks_for_them_and_cost_their_input(sdk, proxy):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    raw = await settled(client.embeddings.with_raw_response.create(model="sim/embedding", input=[PROMPT, "Twice"]))
    answer = raw.parse()
    # The SDK asks for base64, and decodes it.
    vectors = [entry.embedding for entry in answer.data]
    assert [len(vector) for vector in vectors] == [256, 256] and vectors[0] != vectors[1]
    assert all(abs(number) == 0.0625 for number in vectors[0])
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (5, 5)
    usage = {"input": 5}
    assert dictionary(raw.headers["x-tollgate-usage"]) == usage
    assert charged(customer) == (usage, plain(cost(usage, PRICES["sim/embedding"])))


async def test_token_ids_are_taken_by_both(sdk, proxy):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    completion = await settled(client.completions.create(model="sim/text", prompt=[[1, 2, 3], [4]], max_tokens=2))
    assert completion.usage.prompt_tokens == 4 and len(completion.choices) == 2
    answer = await settled(client.embeddings.create(model="sim/embedding", input=[1, 2, 3], encoding_format="float"))
    assert answer.usage.prompt_tokens == 3 and len(answer.data) == 1


async def test_each_model_has_its_own_paths(sdk, proxy):
    client = sdk(proxy.base_url, proxy.customer().secret)
    with pytest.raises(openai.BadRequestError, match="POST /v1/embeddings") as refused:
        await settled(client.completions.create(model="sim/embedding", prompt=PROMPT))
    assert refused.value.param == "model"
    with pytest.raises(openai.BadRequestError, match="POST /v1/completions"):
        await settled(client.embeddings.create(model="sim/text", input=PROMPT))


async def test_the_demo_completes(sdk, demo):
    client = sdk(demo["base_url"], demo["api_key"])
    model = "deepseek-ai/DeepSeek-V3"
    completion = await settled(client.completions.create(model=model, prompt=PROMPT))
    assert completion.choices[0].text and completion.usage.completion_tokens == 16
