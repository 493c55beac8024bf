"""The same promises for every other client: texts, streams, tools, images and refusals arrive, and are charged."""

import base64
import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal

import pytest

from adapters import CLIENTS, KINDS, QUICK, Adapter
from support import PATIENCE, Tap, Tollgate, cost, eventually, http, plain

PRICES = {"sim/chat": {"input": "4", "output": "16"}, "sim/image": {"images": "0.35"}}
BALANCE = Decimal(10)
PROMPT = "A toll gate?"
PNG = b"\x89PNG\r\n\x1a\n"
PIXEL = "data:image/png;base64," + (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

CONFIG = """
server: { listen: "127.0.0.1:0", admin_listen: "127.0.0.1:0", timezone: UTC, drain_seconds: 1 }
ledger: { kind: embedded, path: "${TOLLGATE_CLIENTS_LEDGER}", durability: process }
currency: CNY
upstreams:
  simulator: { kind: simulator }
models:
  - id: sim/chat
    upstream: simulator
    context_tokens: 100000
    max_output_tokens: 1000
    prices: [{ per: 1M tokens, input: 4, output: 16 }]
  - { id: sim/image, category: text-to-image, upstream: simulator, prices: [{ per: image, image: 0.35 }] }
"""


@pytest.fixture(scope="module")
def simulated():
    """Tollgate in front of its simulator, whose answers and counts depend on the request alone."""
    tollgate = Tollgate(CONFIG)
    try:
        yield tollgate
        assert tollgate.audit() == []
    finally:
        tollgate.stop()


@pytest.fixture(scope="module", params=CLIENTS)
def client(request):
    adapter = Adapter(request.param)
    try:
        yield adapter
    finally:
        adapter.stop()


@pytest.fixture
def relay(simulated):
    """In front of Tollgate, where every attempt of a client is counted."""
    with Tap(simulated.url) as tap:
        yield tap


@pytest.fixture
def customer(simulated):
    return simulated.customer(plain(BALANCE), on_disconnect="cancel")


def those_with(do):
    """Only for the clients whose library has such a call."""
    return pytest.mark.parametrize("client", [name for name in CLIENTS if do in KINDS[name].does], indirect=True)


def expected(simulated, content):
    """Text and usage of the answer to `content`, asked for without any library."""
    body = {"model": "sim/chat", "messages": [{"role": "user", "content": content}]}
    status, answer = http(f"{simulated.base_url}/chat/completions", "POST", body, simulated.customer().secret)
    assert status == 200, answer
    usage = answer["usage"]
    return answer["choices"][0]["message"]["content"], {
        "input": usage["prompt_tokens"],
        "output": usage["completion_tokens"],
    }


def charged(customer, count=1):
    """The receipts of a customer's only requests, which add up to what left the balance."""
    receipts = customer.receipts()
    assert len(receipts) == count
    for receipt in receipts:
        assert receipt["counted"] == "exact"
        assert receipt["cost"] == plain(cost(receipt["usage"], PRICES[receipt["model"]]))
    spent = sum(Decimal(receipt["cost"]) for receipt in receipts)
    assert spent > 0
    wallet = customer.wallet()
    assert (wallet["balance"], wallet["holds"]) == (plain(BALANCE - spent), 0)
    return receipts


def test_an_answer_has_its_text_and_usage_and_is_charged(client, simulated, relay, customer):
    answer = client.ask("text", relay.base_url, customer, model="sim/chat", prompt=PROMPT)
    text, usage = expected(simulated, PROMPT)
    assert answer == {**answer, "text": text, "finish": "stop", "usage": usage}
    (receipt,) = charged(customer)
    assert receipt["usage"] == usage
    assert relay.requests == 1


@pytest.mark.parametrize("asked", [True, False], ids=["usage asked for", "usage not asked for"])
def test_a_stream_arrives_whole_and_in_order_and_is_charged(client, simulated, relay, customer, asked):
    answer = client.ask("stream", relay.base_url, customer, model="sim/chat", prompt=PROMPT, usage=asked)
    text, usage = expected(simulated, PROMPT)
    assert answer == {**answer, "text": text, "finish": "stop"}
    assert "".join(answer["pieces"]) == text and len(answer["pieces"]) > 20
    assert answer["usage"] == (usage if asked else answer["usage"])
    # The end was seen, so the charge is there: no waiting.
    (receipt,) = charged(customer)
    assert receipt["usage"] == usage
    assert relay.requests == 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_function_is_called_and_its_result_answered(client, relay, customer, stream):
    answer = client.ask("tools", relay.base_url, customer, model="sim/chat", prompt="Shanghai", stream=stream)
    assert "error" not in answer, answer
    assert answer["calls"] == [{"name": "weather", "arguments": {"city": "Shanghai"}}]
    assert '"18 degrees in Shanghai"' in answer["text"]
    charged(customer, 2)
    assert relay.requests == 2


@those_with("image")
def test_images_are_made_and_charged(client, relay, customer):
    answer = client.ask("image", relay.base_url, customer, model=client.kind.image_model, prompt="a gate", n=2)
    assert "error" not in answer, answer
    assert len(answer["images"]) == 2
    assert all(base64.b64decode(image).startswith(PNG) for image in answer["images"])
    # Some ask for both at once, some twice for one.
    assert sum(receipt["usage"]["images"] for receipt in charged(customer, relay.requests)) == 2


def test_a_picture_in_a_message_reaches_the_model_and_is_charged(client, simulated, relay, customer):
    answer = client.ask("look", relay.base_url, customer, model="sim/chat", prompt=PROMPT, picture=PIXEL)
    parts = [{"type": "text", "text": PROMPT}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    text, usage = expected(simulated, parts)
    assert answer == {**answer, "text": text, "usage": usage}
    (receipt,) = charged(customer)
    assert receipt["usage"] == usage


@pytest.mark.parametrize("do", ["text", "stream"])
def test_a_spent_balance_is_an_error_of_the_clients_own_and_final(client, simulated, relay, do):
    poor = simulated.customer(balance="0.001")
    answer = client.ask(do, relay.base_url, poor, model="sim/chat", prompt=PROMPT, usage=True)
    error = answer["error"]
    assert (error["type"], error["status"]) == (client.kind.error, 402), error
    assert "0.001 CNY is available" in error["message"]
    assert relay.requests == client.kind.hits.spent
    assert poor.wallet()["balance"] == "0.001"


def test_a_limit_that_passes_is_not_noticed(client, simulated, relay):
    busy = simulated.customer(limits=[{"concurrent": 1}], on_disconnect="cancel")
    with ThreadPoolExecutor() as threads:
        with in_flight(simulated, busy):
            asked = threads.submit(client.ask, "text", relay.base_url, busy, model="sim/chat", prompt=PROMPT)
            eventually(lambda: relay.refusals, "the first refusal")
        answer = asked.result()
    assert answer == {**answer, "text": expected(simulated, PROMPT)[0]}
    assert relay.requests > 1


in_full_runs = pytest.mark.skipif(QUICK, reason="the pauses of some clients take minutes")


@in_full_runs
def test_a_limit_that_does_not_pass_is_tried_as_often_as_the_client_does(client, simulated, relay):
    busy = simulated.customer(limits=[{"concurrent": 1}], on_disconnect="cancel")
    with in_flight(simulated, busy):
        answer = client.ask("text", relay.base_url, busy, model="sim/chat", prompt=PROMPT)
    assert answer["error"]["status"] == 429, answer
    assert relay.requests == client.kind.hits.later


@in_full_runs
def test_a_spent_limit_is_final_for_those_who_listen(client, simulated, relay):
    limited = simulated.customer(limits=[{"spend": "0.001", "per": "day"}])
    answer = client.ask("text", relay.base_url, limited, model="sim/chat", prompt=PROMPT)
    assert answer["error"]["status"] == 429, answer
    assert relay.requests == client.kind.hits.final


@contextmanager
def in_flight(simulated, customer):
    """A request of the customer that stays in flight to the end of the block."""
    body = {"model": "sim/chat", "stream": True, "messages": [{"role": "user", "content": PROMPT}]}
    headers = {
        "Authorization": f"Bearer {customer.secret}",
        "Content-Type": "application/json",
        "x-simulator-fault": "stall",
    }
    request = urllib.request.Request(
        f"{simulated.base_url}/chat/completions", data=json.dumps(body).encode(), headers=headers
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=PATIENCE):
        yield
