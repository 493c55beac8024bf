"""Chats by the official SDK, unchanged but for `base_url` and `api_key`: answers, streams, headers, charges."""

from decimal import Decimal

import openai
import pytest

from conftest import PRICES
from sdk import HELLO, content, entered, items, settled, told
from support import cost, dictionary, meters, plain

COUNTS = {"prompt": 300, "cached": 100, "completion": 50, "reasoning": 20}
USAGE = {"input": 200, "cached_input": 100, "output": 30, "reasoning": 20}
COST = cost(USAGE, PRICES["mock/chat"])
EARLY = ["request-id", "model", "price-version", "currency", "hold", "balance"]
FINAL = EARLY + ["usage", "cost", "free", "counted"]


def header(response, name):
    return response.headers[f"x-tollgate-{name}"]


async def test_an_answer_is_as_the_upstream_gave_it_and_costs_price_times_usage(sdk, proxy, mock, call_id):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    completion = await settled(
        client.chat.completions.create(
            model="mock/chat", messages=HELLO, max_tokens=60, extra_headers=told(call_id, **COUNTS)
        )
    )
    assert completion.choices[0].message.content
    assert completion.choices[0].finish_reason in ("stop", "length")
    assert meters(completion.usage) == USAGE
    receipt = customer.receipts()[0]
    assert (receipt["cost"], receipt["counted"]) == (plain(COST), "exact")
    assert receipt["usage"] == USAGE
    assert customer.wallet()["balance"] == plain(Decimal(10) - COST)
    assert len(mock.requests(call_id)) == 1


async def test_the_headers_of_an_answer_are_its_receipt(sdk, proxy, call_id):
    limits = [{"spend": "5.00", "per": "day"}, {"requests": 60, "per": "minute"}, {"tokens": 90000, "per": "minute"}]
    customer = proxy.customer(limits=limits)
    client = sdk(proxy.base_url, customer.secret)
    raw = await settled(
        client.chat.completions.with_raw_response.create(
            model="chat", messages=HELLO, extra_headers=told(call_id, vendor=1, **COUNTS)
        )
    )
    assert meters(raw.parse().usage) == USAGE
    for name in FINAL:
        assert header(raw, name), name
    assert header(raw, "model") == "mock/chat"
    assert dictionary(header(raw, "usage")) == USAGE
    assert header(raw, "cost") == plain(COST)
    assert header(raw, "currency") == "CNY"
    assert header(raw, "counted") == "exact"
    assert header(raw, "balance") == plain(Decimal(10) - COST)
    assert dictionary(header(raw, "free")) == {"tokens": 0}
    assert Decimal(header(raw, "hold")) >= COST
    spend = dictionary(header(raw, "limit-spend-day"))
    assert spend["cap"] == "5" and spend["remaining"] == plain(Decimal(5) - COST) and spend["reset"] > 0
    # A minute's buckets refill while the request runs.
    requests = dictionary(header(raw, "limit-requests-minute"))
    assert requests["cap"] == 60 and 59 <= requests["remaining"] <= 60
    assert raw.headers["x-ratelimit-limit-requests"] == "60"
    assert raw.headers["x-ratelimit-limit-tokens"] == "90000"
    assert raw.headers["x-ratelimit-reset-tokens"].endswith("s")
    assert raw.headers["x-request-id"] == header(raw, "request-id")
    assert "openai-organization" not in raw.headers and "set-cookie" not in raw.headers

    status, receipt = customer.get(f"/receipts/{header(raw, 'request-id')}")
    assert status == 200
    assert (receipt["cost"], receipt["usage"]) == (plain(COST), USAGE)
    assert receipt["price_version"] == header(raw, "price-version")


async def test_the_upstream_sees_the_operators_key_and_the_clients_bytes(sdk, proxy, mock, call_id):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret, organization="the-customers", project="theirs")
    await settled(
        client.chat.completions.create(
            model="mock/chat", messages=HELLO, seed=7, extra_body={"top_k": 3}, extra_headers=told(call_id)
        )
    )
    headers, body = mock.last()
    assert headers["authorization"] == "Bearer the-operators-own"
    assert "openai-organization" not in headers and "openai-project" not in headers
    assert body == {"messages": HELLO, "model": "mock/chat", "seed": 7, "top_k": 3}


async def test_a_stream_has_no_usage_chunk_unless_asked_and_is_charged_all_the_same(sdk, proxy, mock, call_id):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    chunks = await items(
        client.chat.completions.create(
            model="mock/chat", messages=HELLO, stream=True, extra_headers=told(call_id, **COUNTS)
        )
    )
    assert all(chunk.usage is None for chunk in chunks)
    assert all(chunk.choices for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason in ("stop", "length")
    assert content(chunks)
    # The end was seen, so the charge is there: no waiting.
    receipt = customer.receipts()[0]
    assert (receipt["cost"], receipt["usage"]) == (plain(COST), USAGE)
    assert customer.wallet()["holds"] == 0
    record = mock.requests(call_id)[0]
    assert record["stream_options"] == {"include_usage": True}


async def test_a_stream_says_what_an_answer_says(sdk, proxy, call_id):
    client = sdk(proxy.base_url, proxy.customer().secret)
    ask = {"model": "mock/chat", "messages": HELLO, "extra_headers": told(call_id, completion=12)}
    whole = await settled(client.chat.completions.create(**ask))
    chunks = await items(client.chat.completions.create(stream=True, **ask))
    assert content(chunks) == whole.choices[0].message.content


async def test_a_usage_chunk_that_was_asked_for_carries_the_cost(sdk, proxy, call_id):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    chunks = await items(
        client.chat.completions.create(
            model="mock/chat",
            messages=HELLO,
            stream=True,
            stream_options={"include_usage": True},
            extra_headers=told(call_id, **COUNTS),
        )
    )
    *body, last = chunks
    assert all(chunk.usage is None for chunk in body)
    assert last.choices == []
    assert meters(last.usage) == USAGE
    assert last.usage.cost == plain(COST)
    assert customer.receipts()[0]["cost"] == plain(COST)


async def test_a_stream_that_declines_usage_gets_none(sdk, proxy, call_id):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    chunks = await items(
        client.chat.completions.create(
            model="mock/chat",
            messages=HELLO,
            stream=True,
            stream_options={"include_usage": False},
            extra_headers=told(call_id, **COUNTS),
        )
    )
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    assert customer.receipts()[0]["cost"] == plain(COST)


async def test_a_streams_headers_carry_what_is_known_before_its_end(sdk, proxy, call_id):
    client = sdk(proxy.base_url, proxy.customer(limits=[{"concurrent": 4}]).secret)
    manager = client.chat.completions.with_streaming_response.create(
        model="mock/chat", messages=HELLO, stream=True, extra_headers=told(call_id, **COUNTS)
    )
    async with entered(manager) as response:
        for name in EARLY:
            assert header(response, name), name
        for name in set(FINAL) - set(EARLY):
            assert f"x-tollgate-{name}" not in response.headers, name
        assert dictionary(header(response, "limit-concurrent"))["cap"] == 4
        lines = await items(response.iter_lines())
    events = [line for line in lines if line]
    assert all(line.startswith(("data:", ":")) for line in events), "a named event breaks clients"
    receipt, done = events[-2:]
    assert receipt.startswith(": tollgate {") and f'"cost":"{plain(COST)}"' in receipt
    assert done == "data: [DONE]"


async def test_the_receipt_is_told_once_in_a_stream(sdk, proxy, call_id):
    client = sdk(proxy.base_url, proxy.customer().secret)
    manager = client.chat.completions.with_streaming_response.create(
        model="mock/chat",
        messages=HELLO,
        stream=True,
        stream_options={"include_usage": True},
        extra_headers=told(call_id),
    )
    async with entered(manager) as response:
        lines = await items(response.iter_lines())
    assert sum(line.startswith(": tollgate ") for line in lines) == 1
    assert sum('"cost"' in line for line in lines if line.startswith("data:")) == 1


async def test_several_choices_are_all_answered_and_charged_as_reported(sdk, proxy, call_id):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    completion = await settled(
        client.chat.completions.create(
            model="mock/chat", messages=HELLO, n=2, max_tokens=50, extra_headers=told(call_id)
        )
    )
    usage = meters(completion.usage)
    assert customer.receipts()[0]["cost"] == plain(cost(usage, PRICES["mock/chat"]))


async def test_tools_reach_the_upstream_and_are_answered(sdk, proxy, mock, call_id):
    tools = [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "The weather of a city",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
            },
        }
    ]
    conversation = [
        *HELLO,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"上海"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "18 °C, rain"},
    ]
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    completion = await settled(
        client.chat.completions.create(
            model="mock/chat",
            messages=conversation,
            tools=tools,
            tool_choice="auto",
            parallel_tool_calls=False,
            extra_headers=told(call_id, **COUNTS),
        )
    )
    _, body = mock.last()
    assert (body["tools"], body["messages"], body["tool_choice"]) == (tools, conversation, "auto")
    assert meters(completion.usage) == USAGE
    assert customer.receipts()[0]["cost"] == plain(COST)


async def test_usage_that_nobody_reports_is_counted_here_and_says_so(sdk, proxy, call_id):
    customer = proxy.customer()
    client = sdk(proxy.base_url, customer.secret)
    raw = await settled(
        client.chat.completions.with_raw_response.create(
            model="mock/chat", messages=HELLO, extra_headers=told(call_id, fault="no-usage")
        )
    )
    assert raw.parse().usage is None
    assert header(raw, "counted") == "estimated"
    usage = dictionary(header(raw, "usage"))
    assert usage["input"] > 0 and usage["output"] > 0
    assert header(raw, "cost") == plain(cost(usage, PRICES["mock/chat"]))


@pytest.mark.parametrize("model", ["DeepSeek-R1", "deepseek-ai/DeepSeek-R1", "Qwen/QwQ-32B"])
async def test_the_demo_answers_and_shows_a_cost(sdk, demo, model):
    client = sdk(demo["base_url"], demo["api_key"])
    raw = await settled(client.chat.completions.with_raw_response.create(model=model, messages=HELLO))
    completion = raw.parse()
    assert completion.choices[0].message.content
    # Its 20 free tokens are for the first request that comes.
    assert 0 <= dictionary(header(raw, "free"))["tokens"] <= 20
    assert float(header(raw, "cost")) > 0


async def test_the_demo_streams(sdk, demo):
    client = sdk(demo["base_url"], demo["api_key"])
    stream = client.chat.completions.create(model="DeepSeek-V3", messages=HELLO, stream=True)
    chunks = await items(stream)
    assert content(chunks) and chunks[-1].choices[0].finish_reason == "stop"


async def test_a_cut_stream_raises_after_what_was_delivered_which_is_charged(sdk, proxy, mock, tap, call_id):
    customer = proxy.customer()
    client = sdk(tap.base_url, customer.secret)
    stream = await settled(
        client.chat.completions.create(
            model="mock/chat",
            messages=HELLO,
            stream=True,
            extra_headers=told(call_id, completion=40, fault="cut-after=5"),
        )
    )
    seen = []
    with pytest.raises(openai.APIError) as caught:
        if hasattr(stream, "__aiter__"):
            async for chunk in stream:
                seen.append(chunk)
        else:
            for chunk in stream:
                seen.append(chunk)
    assert content(seen)
    error = caught.value
    assert not isinstance(error, openai.APIStatusError)
    assert (error.code, error.type, error.param) == ("upstream_unavailable", "server_error", None)
    assert "Only what was delivered is charged" in error.message
    assert tap.requests == 1 and len(mock.requests(call_id)) == 1
    receipt = customer.receipts()[0]
    assert receipt["counted"] == "partial" and 0 < receipt["usage"]["output"] < 40
    assert receipt["cost"] == plain(cost(receipt["usage"], PRICES["mock/chat"]))


async def test_an_upstreams_own_error_event_is_raised_as_it_is(sdk, proxy, call_id):
    client = sdk(proxy.base_url, proxy.customer().secret)
    with pytest.raises(openai.APIError) as caught:
        await items(
            client.chat.completions.create(
                model="mock/chat",
                messages=HELLO,
                stream=True,
                extra_headers=told(call_id, completion=40, fault="error-event=3"),
            )
        )
    assert caught.value.code == "mock_stream_error"
