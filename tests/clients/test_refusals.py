"""Every refusal as the SDK's typed exception, and how often the SDK tries: final ones arrive once."""

from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

import openai
import pytest

from sdk import HELLO, settled, told
from support import eventually

CHAT = {"model": "mock/chat", "messages": HELLO}


async def refused(kind, client, **ask):
    """The exception that a chat (or `ask`) ends in."""
    with pytest.raises(kind) as caught:
        await settled(client.chat.completions.create(**{**CHAT, **ask}))
    error = caught.value
    assert type(error) is kind, f"{type(error)} instead of {kind}"
    assert error.message and set(error.body) >= {"message", "type", "param", "code"}
    assert error.response.headers["x-request-id"] == error.response.headers["x-tollgate-request-id"]
    return error


def facts(error):
    return error.status_code, error.code, error.param


@contextmanager
def in_flight(proxy, customer, **ask):
    """A request of a customer (whose policy is to cancel) that stays in flight to the end of the block."""
    client = openai.OpenAI(base_url=proxy.base_url, api_key=customer.secret, max_retries=0)
    directions = {"x-mock-fault": "hang-after=1"}
    stream = client.chat.completions.create(stream=True, extra_headers=directions, **{**CHAT, **ask})
    next(iter(stream))
    try:
        yield
    finally:
        stream.close()
        client.close()


async def test_keys_that_do_not_hold_look_all_the_same(sdk, proxy, mock, tap, call_id):
    revoked = proxy.customer()
    name = next(key["id"] for key in proxy.admin("GET", "/admin/keys")["data"] if key["wallet"] == revoked.wallet_id)
    proxy.admin("DELETE", f"/admin/keys/{name}")
    messages = set()
    for secret in ["no-such-key", revoked.secret, "sk-" + "x" * 48]:
        error = await refused(
            openai.AuthenticationError, sdk(tap.base_url, secret), extra_headers=told(call_id)
        )
        assert facts(error) == (401, "invalid_api_key", None)
        messages.add(error.message)
    assert len(messages) == 1
    assert tap.requests == 3
    assert mock.requests(call_id) == []


async def test_an_expired_key_is_an_invalid_one(sdk, proxy, tap):
    end = datetime.now(timezone.utc) + timedelta(seconds=1)
    customer = proxy.customer(expires_at=end.isoformat())
    eventually(lambda: customer.get("/models")[0] == 401, "the key to expire")
    error = await refused(openai.AuthenticationError, sdk(tap.base_url, customer.secret))
    assert facts(error) == (401, "invalid_api_key", None)
    assert tap.requests == 1


async def test_a_model_that_the_key_may_not_use_is_denied(sdk, proxy, mock, tap, call_id):
    client = sdk(tap.base_url, proxy.customer(models=["mock/image"]).secret)
    error = await refused(openai.PermissionDeniedError, client, extra_headers=told(call_id))
    assert facts(error) == (403, "model_not_allowed", "model")
    assert (tap.requests, mock.requests(call_id)) == (1, [])


async def test_an_address_that_the_key_does_not_allow_is_denied(sdk, proxy, mock, tap, call_id):
    client = sdk(tap.base_url, proxy.customer(allowed_ips=["192.0.2.0/24"]).secret)
    error = await refused(openai.PermissionDeniedError, client, extra_headers=told(call_id))
    assert facts(error) == (403, "ip_not_allowed", None)
    assert "127.0.0.1" in error.message
    assert (tap.requests, mock.requests(call_id)) == (1, [])


async def test_a_model_without_a_price_is_not_found(sdk, proxy, mock, tap, call_id):
    client = sdk(tap.base_url, proxy.customer().secret)
    error = await refused(openai.NotFoundError, client, model="gpt-5", extra_headers=told(call_id))
    assert facts(error) == (404, "model_not_found", "model")
    assert "gpt-5" in error.message
    assert (tap.requests, mock.requests(call_id)) == (1, [])


async def test_what_cannot_be_metered_is_not_served(sdk, proxy, tap):
    client = sdk(tap.base_url, proxy.customer().secret)
    with pytest.raises(openai.NotFoundError) as caught:
        await settled(client.fine_tuning.jobs.create(model="mock/chat", training_file="file-1"))
    assert caught.value.code == "unknown_url"
    assert tap.requests == 1


async def test_a_spent_balance_is_final(sdk, proxy, mock, tap, call_id):
    customer = proxy.customer(balance="0.001")
    client = sdk(tap.base_url, customer.secret)
    error = await refused(openai.APIStatusError, client, extra_headers=told(call_id))
    assert facts(error) == (402, "insufficient_quota", None)
    assert error.type == "insufficient_quota"
    assert "0.001 CNY is available" in error.message
    assert error.response.headers["x-should-retry"] == "false"
    assert "retry-after" not in error.response.headers
    assert (tap.requests, mock.requests(call_id)) == (1, [])
    assert customer.wallet()["balance"] == "0.001"


@pytest.mark.parametrize("per", ["day", "total"])
async def test_a_spent_limit_is_final_and_says_when_it_ends(sdk, proxy, mock, tap, call_id, per):
    customer = proxy.customer(limits=[{"spend": "0.001", "per": per}])
    client = sdk(tap.base_url, customer.secret)
    error = await refused(openai.RateLimitError, client, extra_headers=told(call_id))
    assert facts(error) == (429, "spend_limit_exceeded", None)
    assert f"limit `spend-{per}`" in error.message
    assert ("resets at" if per == "day" else "does not reset") in error.message
    headers = error.response.headers
    assert headers["x-should-retry"] == "false"
    assert headers[f"x-tollgate-limit-spend-{per}"].startswith('cap="0.001", remaining="0.001"')
    assert (tap.requests, mock.requests(call_id)) == (1, [])


async def test_a_spent_quota_is_final(sdk, proxy, mock, tap, call_id):
    customer = proxy.customer(limits=[{"requests": 1, "per": "day"}])
    client = sdk(tap.base_url, customer.secret)
    await settled(client.chat.completions.create(**CHAT))
    error = await refused(openai.RateLimitError, client, extra_headers=told(call_id))
    assert facts(error) == (429, "quota_limit_exceeded", None)
    assert (tap.requests, mock.requests(call_id)) == (2, [])


async def test_a_rate_limit_is_tried_again_when_it_says(sdk, proxy, mock, tap, call_id):
    # Refills 1,000 tokens a second; the first request empties it, the next reserves more than 1,000.
    customer = proxy.customer(limits=[{"tokens": 60_000, "per": "minute"}])
    first = told(call_id, prompt=60_000)
    await settled(sdk(tap.base_url, customer.secret).chat.completions.create(**CHAT, extra_headers=first))

    hasty = sdk(tap.base_url, customer.secret, max_retries=0)
    error = await refused(openai.RateLimitError, hasty)
    assert facts(error) == (429, "rate_limit_exceeded", None)
    assert "limit `tokens-minute`" in error.message
    headers = error.response.headers
    assert 1 <= int(headers["retry-after"]) <= 3
    assert headers["x-ratelimit-limit-tokens"] == "60000"
    assert "x-should-retry" not in headers
    assert tap.requests == 2

    patient = sdk(tap.base_url, customer.secret, max_retries=1)
    await settled(patient.chat.completions.create(**CHAT, extra_headers=told(f"{call_id}-again")))
    assert tap.requests <= 4
    assert len(mock.requests(f"{call_id}-again")) == 1


async def test_a_balance_that_others_hold_is_worth_another_try(sdk, proxy, mock, tap, call_id):
    # Enough for one request's worst case, not for two.
    customer = proxy.customer(balance="0.03", on_disconnect="cancel")
    with in_flight(proxy, customer):
        client = sdk(tap.base_url, customer.secret, max_retries=1)
        error = await refused(openai.RateLimitError, client, extra_headers=told(call_id))
    assert facts(error) == (429, "balance_held", None)
    assert error.response.headers["retry-after"] == "1"
    assert (tap.requests, mock.requests(call_id)) == (2, [])
    assert customer.settled()["held"] == "0"


async def test_a_limit_that_others_hold_is_worth_another_try(sdk, proxy, mock, tap, call_id):
    customer = proxy.customer(limits=[{"spend": "0.03", "per": "day"}], on_disconnect="cancel")
    with in_flight(proxy, customer):
        client = sdk(tap.base_url, customer.secret, max_retries=1)
        error = await refused(openai.RateLimitError, client, extra_headers=told(call_id))
    assert facts(error) == (429, "limit_held", None)
    assert (tap.requests, mock.requests(call_id)) == (2, [])


async def test_requests_at_once_are_limited_until_one_ends(sdk, proxy, mock, tap, call_id):
    customer = proxy.customer(limits=[{"concurrent": 1}], on_disconnect="cancel")
    with in_flight(proxy, customer):
        client = sdk(tap.base_url, customer.secret, max_retries=1)
        error = await refused(openai.RateLimitError, client, extra_headers=told(call_id))
    assert facts(error) == (429, "rate_limit_exceeded", None)
    assert error.response.headers["retry-after"] == "1"
    assert (tap.requests, mock.requests(call_id)) == (2, [])


@pytest.mark.parametrize(
    ("ask", "param"),
    [
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 5000}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"messages": "text"}, "messages"),
        ({"extra_body": {"stream": "yes"}}, "stream"),
        ({"model": "mock/image"}, "model"),
        ({"extra_body": {"conversation": "conv_1"}}, "conversation"),
    ],
)
async def test_a_bad_field_is_named(sdk, proxy, mock, tap, call_id, ask, param):
    client = sdk(tap.base_url, proxy.customer().secret)
    error = await refused(openai.BadRequestError, client, extra_headers=told(call_id), **ask)
    assert error.status_code == 400
    assert error.type == "invalid_request_error"
    assert error.param == param
    assert (tap.requests, mock.requests(call_id)) == (1, [])


async def test_a_body_that_is_too_large_is_refused_once(sdk, proxy, mock, tap, call_id):
    client = sdk(tap.base_url, proxy.customer().secret)
    large = [{"role": "user", "content": "x" * 2_000_000}]
    error = await refused(openai.APIStatusError, client, messages=large, extra_headers=told(call_id))
    assert error.status_code == 413
    assert (tap.requests, mock.requests(call_id)) == (1, [])


async def test_an_upstream_that_breaks_off_or_is_away_is_tried_again(sdk, proxy, mock, tap, call_id):
    customer = proxy.customer()
    client = sdk(tap.base_url, customer.secret, max_retries=1)
    error = await refused(openai.InternalServerError, client, extra_headers=told(call_id, fault="cut-before"))
    assert facts(error) == (502, "upstream_unavailable", None)
    assert (tap.requests, len(mock.requests(call_id))) == (2, 2)
    error = await refused(openai.InternalServerError, client, model="mock/nobody")
    assert facts(error) == (502, "upstream_unavailable", None)
    assert "Nothing was charged" in error.message
    assert tap.requests == 4
    assert customer.settled()["balance"] == "10"


async def test_an_upstream_that_does_not_answer_in_time_is_a_504(sdk, proxy, mock, tap, call_id):
    customer = proxy.customer()
    client = sdk(tap.base_url, customer.secret, max_retries=1)
    error = await refused(
        openai.InternalServerError, client, model="mock/hasty", extra_headers=told(call_id, fault="hang")
    )
    assert facts(error) == (504, "upstream_unavailable", None)
    assert tap.requests == 2
    assert customer.settled()["balance"] == "10"


@pytest.mark.parametrize("status", [500, 503])
async def test_an_upstreams_error_passes_through_and_is_free(sdk, proxy, mock, tap, call_id, status):
    customer = proxy.customer()
    client = sdk(tap.base_url, customer.secret, max_retries=1)
    error = await refused(
        openai.InternalServerError, client, extra_headers=told(call_id, fault=f"status={status}")
    )
    assert facts(error) == (status, "mock_fault", None)
    assert (tap.requests, len(mock.requests(call_id))) == (2, 2)
    assert customer.settled()["balance"] == "10"


@pytest.mark.parametrize("status", [401, 402])
async def test_the_operators_own_trouble_is_not_the_customers_key(sdk, proxy, mock, tap, call_id, status):
    client = sdk(tap.base_url, proxy.customer().secret)
    error = await refused(
        openai.InternalServerError, client, extra_headers=told(call_id, fault=f"status={status}")
    )
    assert facts(error) == (502, "upstream_unavailable", None)
    assert error.response.headers["x-should-retry"] == "false"
    assert (tap.requests, len(mock.requests(call_id))) == (1, 1)


async def test_full_memory_is_a_503_that_passes(sdk, proxy, mock, tap, call_id):
    customer = proxy.customer(on_disconnect="cancel")
    large = [{"role": "user", "content": "x" * 200_000}]
    with in_flight(proxy, customer, messages=large), in_flight(proxy, customer, messages=large):
        client = sdk(tap.base_url, customer.secret, max_retries=1)
        error = await refused(
            openai.InternalServerError, client, messages=large, extra_headers=told(call_id)
        )
    customer.settled()
    assert facts(error) == (503, "overloaded", None)
    assert error.response.headers["retry-after"] == "1"
    assert (tap.requests, mock.requests(call_id)) == (2, [])


async def test_an_idempotency_key_pays_once(sdk, proxy, mock, tap, call_id):
    customer = proxy.customer()
    client = sdk(tap.base_url, customer.secret)
    headers = {**told(call_id), "Idempotency-Key": call_id}
    await settled(client.chat.completions.create(**CHAT, extra_headers=headers))
    error = await refused(openai.ConflictError, client, extra_headers=headers)
    assert facts(error) == (409, "already_charged", None)
    assert error.body["receipt"]["request_id"] == customer.receipts()[0]["request_id"]
    assert (tap.requests, len(mock.requests(call_id))) == (2, 1)
    error = await refused(openai.UnprocessableEntityError, client, seed=1, extra_headers=headers)
    assert error.code == "idempotency_key_reused"
    assert tap.requests == 3


async def test_a_refused_stream_raises_before_the_first_chunk(sdk, proxy, tap):
    client = sdk(tap.base_url, proxy.customer(balance="0").secret)
    error = await refused(openai.APIStatusError, client, stream=True)
    assert facts(error) == (402, "insufficient_quota", None)
    assert tap.requests == 1
