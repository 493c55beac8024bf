"""Messages by Anthropic's official SDK, unchanged but for `base_url` (without `/v1`) and `api_key`."""

from decimal import Decimal

import anthropic
import pytest

from conftest import PRICES
from sdk import entered, items, settled
from support import cost, dictionary, plain

MODEL = "sim/text"
ASK = {
    "model": MODEL,
    "max_tokens": 500,
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "What is a toll?"}],
}
WEATHER = {
    "name": "weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture(params=["sync", "async"])
def claude(request):
    """A client of either kind."""
    kind = {"sync": anthropic.Anthropic, "async": anthropic.AsyncAnthropic}[request.param]

    def client(url, customer, **options):
        return kind(base_url=url, api_key=customer.secret, **options)

    return client


def fault(name):
    return {"x-simulator-fault": name}


def charged(customer, usage):
    """The receipt of the customer's last request, which has this usage and its exact cost."""
    receipt = customer.receipts()[0]
    told = {"input": usage.input_tokens, "output": usage.output_tokens}
    assert (receipt["usage"], receipt["counted"], receipt["shortfall"]) == (told, "exact", "0")
    assert receipt["cost"] == plain(cost(told, PRICES[MODEL]))
    spent = sum(Decimal(each["cost"]) for each in customer.receipts())
    assert customer.wallet()["balance"] == plain(10 - spent)
    return receipt


async def test_a_message_costs_what_its_usage_says_and_its_headers_are_the_receipt(claude, proxy):
    customer = proxy.customer()
    raw = await settled(claude(proxy.url, customer).messages.with_raw_response.create(**ASK))
    message = await settled(raw.parse())
    assert (message.type, message.stop_reason) == ("message", "end_turn")
    assert "What is a toll?" in message.content[0].text
    receipt = charged(customer, message.usage)
    assert raw.headers["x-tollgate-cost"] == receipt["cost"]
    assert dictionary(raw.headers["x-tollgate-usage"]) == receipt["usage"]
    assert message._request_id == raw.headers["x-tollgate-request-id"] == receipt["request_id"]


async def test_a_stream_of_events_arrives_whole_and_is_charged_before_its_end(claude, proxy):
    customer = proxy.customer()
    events = await items(claude(proxy.url, customer).messages.create(**ASK, stream=True))
    receipt = customer.receipts()[0]
    assert (events[0].type, events[-2].type, events[-1].type) == ("message_start", "message_delta", "message_stop")
    text = "".join(event.delta.text for event in events if event.type == "content_block_delta")
    assert "What is a toll?" in text
    usage = events[0].message.usage
    usage.output_tokens = events[-2].usage.output_tokens
    assert charged(customer, usage) == receipt


async def test_the_sdks_own_stream_puts_a_message_together(claude, proxy):
    customer = proxy.customer()
    async with entered(claude(proxy.url, customer).messages.stream(**ASK)) as stream:
        pieces = await items(stream.text_stream)
        message = await settled(stream.get_final_message())
    assert "".join(pieces) == message.content[0].text and len(pieces) > 20
    assert message.stop_reason == "end_turn"
    charged(customer, message.usage)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_tool_is_used_and_its_result_answered(claude, proxy, stream):
    customer = proxy.customer()
    client = claude(proxy.url, customer)

    async def said(messages):
        ask = {"model": MODEL, "max_tokens": 200, "tools": [WEATHER], "messages": messages}
        if stream:
            async with entered(client.messages.stream(**ask)) as events:
                message = await settled(events.get_final_message())
        else:
            message = await settled(client.messages.create(**ask))
        charged(customer, message.usage)
        return message

    conversation = [{"role": "user", "content": "Shanghai"}]
    message = await said(conversation)
    (used,) = message.content
    assert (message.stop_reason, used.name, used.input) == ("tool_use", "weather", {"city": "Shanghai"})
    result = {"type": "tool_result", "tool_use_id": used.id, "content": "18 degrees"}
    answer = await said(
        [
            *conversation,
            {"role": "assistant", "content": [used.model_dump(include={"type", "id", "name", "input"})]},
            {"role": "user", "content": [result]},
        ]
    )
    assert '"18 degrees"' in answer.content[0].text
    assert len(customer.receipts()) == 2


async def test_a_maximum_ends_a_message(claude, proxy):
    customer = proxy.customer()
    message = await settled(claude(proxy.url, customer).messages.create(**{**ASK, "max_tokens": 7}))
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 7)
    charged(customer, message.usage)


async def test_counting_the_input_is_free_and_right(claude, proxy):
    customer = proxy.customer()
    client = claude(proxy.url, customer)
    counted = await settled(
        client.messages.count_tokens(model=MODEL, system=ASK["system"], messages=ASK["messages"])
    )
    assert customer.wallet()["balance"] == "10"
    message = await settled(client.messages.create(**ASK))
    assert counted.input_tokens == message.usage.input_tokens


@pytest.mark.parametrize(
    ("status", "kind", "name"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (529, anthropic.InternalServerError, "overloaded_error"),
    ],
)
async def test_an_upstreams_error_is_the_sdks_own_and_free(claude, proxy, status, kind, name):
    customer = proxy.customer()
    client = claude(proxy.url, customer, max_retries=0)
    with pytest.raises(kind, match=f"simulated fault: status {status}") as caught:
        await settled(client.messages.create(**ASK, extra_headers=fault(f"status={status}")))
    assert (caught.value.status_code, caught.value.body["error"]["type"]) == (status, name)
    assert caught.value.request_id == caught.value.response.headers["x-tollgate-request-id"]
    assert customer.settled()["balance"] == "10"


async def test_an_error_event_of_the_upstream_is_raised(claude, proxy):
    customer = proxy.customer()
    client = claude(proxy.url, customer, max_retries=0)
    with pytest.raises(anthropic.APIStatusError, match="simulated fault") as caught:
        await items(client.messages.create(**ASK, stream=True, extra_headers=fault("error-event")))
    assert caught.value.body["error"]["type"] == "api_error"
    assert customer.receipts()[0]["counted"] == "partial"


async def test_a_stream_that_breaks_off_raises_after_what_was_delivered_which_is_charged(claude, proxy):
    customer = proxy.customer()
    client = claude(proxy.url, customer, max_retries=0)
    with pytest.raises(anthropic.APIStatusError, match="Only what was delivered is charged"):
        await items(client.messages.create(**ASK, stream=True, extra_headers=fault("cut=12")))
    receipt = customer.receipts()[0]
    assert receipt["counted"] == "partial" and receipt["usage"]["output"] > 0
    assert receipt["cost"] == plain(cost(receipt["usage"], PRICES[MODEL]))


async def test_refusals_are_the_sdks_own_errors_and_final_ones_arrive_once(claude, proxy, tap):
    url = tap.base_url.removesuffix("/v1")
    for stream in (False, True):
        before = tap.requests
        poor = claude(url, proxy.customer(balance="0"))
        with pytest.raises(anthropic.APIStatusError, match="CNY is available") as caught:
            await settled(poor.messages.create(**ASK, stream=stream))
        error = caught.value
        assert (error.status_code, error.body["type"]) == (402, "error")
        assert error.request_id == error.response.headers["x-tollgate-request-id"]
        assert tap.requests - before == 1
    client = claude(url, proxy.customer())
    with pytest.raises(anthropic.NotFoundError, match="does not exist") as caught:
        await settled(client.messages.create(**{**ASK, "model": "no/such"}))
    assert caught.value.body["error"]["type"] == "not_found_error"
    stranger = proxy.customer()
    stranger.secret = "sk-nobodys"
    with pytest.raises(anthropic.AuthenticationError, match="API key") as caught:
        await settled(claude(url, stranger).messages.create(**ASK))
    assert caught.value.body["error"]["type"] == "authentication_error"


async def test_usage_that_is_not_told_is_counted_here(claude, proxy):
    customer = proxy.customer()
    client = claude(proxy.url, customer)
    await settled(client.messages.create(**ASK, extra_headers=fault("no-usage")))
    await items(client.messages.create(**ASK, stream=True, extra_headers=fault("no-usage")))
    for receipt in customer.receipts():
        assert receipt["counted"] == "estimated"
        assert receipt["usage"]["input"] > 0 and receipt["usage"]["output"] > 0
