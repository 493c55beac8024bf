"""Responses by the official SDK, unchanged but for `base_url` and `api_key`: answers, streams, functions, charges."""

import json
from decimal import Decimal

import openai
import pytest

from conftest import PRICES
from sdk import items, settled
from support import cost, dictionary, plain

MODEL = "sim/text"
ASK = {"model": MODEL, "input": "What is a toll?"}
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}


def charged(customer, usage):
    """The receipt of the customer's last request, which has this usage and its exact cost."""
    receipt = customer.receipts()[0]
    told = {"input": usage.input_tokens, "output": usage.output_tokens}
    assert (receipt["usage"], receipt["counted"], receipt["shortfall"]) == (told, "exact", "0")
    assert receipt["cost"] == plain(cost(told, PRICES[MODEL]))
    spent = sum(Decimal(each["cost"]) for each in customer.receipts())
    assert customer.wallet()["balance"] == plain(10 - spent)
    return receipt


async def test_an_answer_costs_what_its_usage_says_and_its_headers_are_the_receipt(sdk, proxy):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    raw = await settled(client.responses.with_raw_response.create(**ASK, instructions="Be brief."))
    response = raw.parse()
    assert (response.object, response.status) == ("response", "completed")
    assert "What is a toll?" in response.output_text
    receipt = charged(customer, response.usage)
    assert raw.headers["x-tollgate-cost"] == receipt["cost"]
    assert dictionary(raw.headers["x-tollgate-usage"]) == receipt["usage"]
    assert response._request_id == raw.headers["x-tollgate-request-id"] == receipt["request_id"]


async def test_a_stream_has_all_its_events_and_is_charged_before_its_end(sdk, proxy):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    events = await items(client.responses.create(**ASK, stream=True))
    receipt = customer.receipts()[0]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    response = events[-1].response
    assert text == response.output_text and text
    assert charged(customer, response.usage) == receipt


async def test_the_sdks_own_stream_puts_a_response_together(sdk, proxy):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    manager = client.responses.stream(**ASK)
    if hasattr(manager, "__aenter__"):
        async with manager as stream:
            response = await stream.get_final_response()
    else:
        with manager as stream:
            response = stream.get_final_response()
    assert "What is a toll?" in response.output_text
    charged(customer, response.usage)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_maximum_makes_a_response_incomplete(sdk, proxy, stream):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    answer = client.responses.create(**ASK, max_output_tokens=16, stream=stream)
    response = (await items(answer))[-1].response if stream else await settled(answer)
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert response.usage.output_tokens == 16
    charged(customer, response.usage)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_function_is_called_and_its_result_answered(sdk, proxy, stream):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    ask = {"model": MODEL, "tools": [WEATHER], "stream": stream}

    async def said(input):
        answer = client.responses.create(**ask, input=input)
        response = (await items(answer))[-1].response if stream else await settled(answer)
        charged(customer, response.usage)
        return response

    conversation = [{"role": "user", "content": "Shanghai"}]
    calling = await said(conversation)
    (call,) = calling.output
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "weather", {"city": "Shanghai"})
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"}
    answer = await said([*conversation, call.model_dump(exclude_none=True), result])
    assert '"18 degrees"' in answer.output_text
    assert len(customer.receipts()) == 2


async def test_counting_the_input_is_free_and_right(sdk, proxy):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    counted = await settled(client.responses.input_tokens.count(**ASK))
    assert customer.wallet()["balance"] == "10"
    response = await settled(client.responses.create(**ASK))
    assert counted.input_tokens == response.usage.input_tokens


async def test_a_stream_that_breaks_off_says_so_and_is_charged_in_part(sdk, proxy):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    events = await items(
        client.responses.create(**ASK, stream=True, extra_headers={"x-simulator-fault": "cut=12"})
    )
    error = events[-1]
    assert (error.type, error.code, error.param) == ("error", "upstream_unavailable", None)
    assert "Only what was delivered is charged" in error.message
    assert error.sequence_number == events[-2].sequence_number + 1
    receipt = customer.receipts()[0]
    assert receipt["counted"] == "partial" and receipt["usage"]["output"] > 0
    assert receipt["cost"] == plain(cost(receipt["usage"], PRICES[MODEL]))


async def test_usage_that_is_not_told_is_counted_here(sdk, proxy):
    for stream in (False, True):
        customer = proxy.customer()
        client = sdk(proxy.base_url, customer.secret)
        answer = client.responses.create(**ASK, stream=stream, extra_headers={"x-simulator-fault": "no-usage"})
        response = (await items(answer))[-1].response if stream else await settled(answer)
        assert response.usage is None
        receipt = customer.receipts()[0]
        assert receipt["counted"] == "estimated"
        assert receipt["usage"]["input"] > 0 and receipt["usage"]["output"] > 0


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_refusals_are_the_sdks_own_errors(sdk, proxy, tap, stream):
    poor = sdk(tap.base_url, proxy.customer(balance="0").secret)
    with pytest.raises(openai.APIStatusError) as caught:
        await items(poor.responses.create(**ASK, stream=stream))
    assert (caught.value.status_code, caught.value.code) == (402, "insufficient_quota")
    assert tap.requests == 1
    client = sdk(tap.base_url, proxy.customer().secret, max_retries=0)
    with pytest.raises(openai.InternalServerError, match="simulated fault: status 500"):
        await items(client.responses.create(**ASK, stream=stream, extra_headers={"x-simulator-fault": "status=500"}))
    with pytest.raises(openai.NotFoundError) as caught:
        await settled(client.responses.create(**ASK, previous_response_id="resp_1"))
    assert (caught.value.code, caught.value.param) == ("object_not_found", "previous_response_id")
