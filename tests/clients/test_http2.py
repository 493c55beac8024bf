"""The official SDK over TLS and HTTP/2: the same answers, streams, charges and refusals."""

import ssl
import tempfile
from pathlib import Path

import openai
import pytest
import trustme

from conftest import CONFIG, PRICES
from sdk import HELLO, content, items, settled, told
from support import Tollgate, cost, meters, plain

COUNTS = {"prompt": 300, "cached": 100, "completion": 50}
USAGE = {"input": 200, "cached_input": 100, "output": 50}


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def secure(authority, mock):
    """A proxy with a certificate; at the end its books must add up."""
    with tempfile.TemporaryDirectory(prefix="tollgate-clients-") as folder:
        issued = authority.issue_cert("127.0.0.1")
        files = {"certificate": Path(folder) / "chain.pem", "key": Path(folder) / "key.pem"}
        files["certificate"].write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(files["key"])
        tls = f"server: {{ tls: {{ certificate: {files['certificate']}, key: {files['key']} }},"
        tollgate = Tollgate(CONFIG.format(mock=mock.url).replace("server: {", tls, 1))
        try:
            assert tollgate.url.startswith("https://")
            yield tollgate
            assert tollgate.audit() == []
        finally:
            tollgate.stop()


@pytest.fixture(params=["sync", "async"])
def client(request, secure, authority):
    """The SDK's own HTTP client of either kind, with HTTP/2 switched on."""
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    kind, http = {
        "sync": (openai.OpenAI, openai.DefaultHttpxClient),
        "async": (openai.AsyncOpenAI, openai.DefaultAsyncHttpxClient),
    }[request.param]

    def client(secret):
        return kind(base_url=secure.base_url, api_key=secret, http_client=http(http2=True, verify=trust))

    return client


async def test_answers_and_streams_come_over_http2_and_cost_price_times_usage(client, secure, call_id):
    customer = secure.customer()
    chats = client(customer.secret).chat.completions
    raw = await settled(
        chats.with_raw_response.create(model="mock/chat", messages=HELLO, extra_headers=told(call_id, **COUNTS))
    )
    assert raw.http_response.http_version == "HTTP/2"
    assert meters(raw.parse().usage) == USAGE
    assert raw.headers["x-tollgate-cost"] == plain(cost(USAGE, PRICES["mock/chat"]))
    chunks = await items(
        chats.create(
            model="mock/chat",
            messages=HELLO,
            stream=True,
            stream_options={"include_usage": True},
            extra_headers=told(call_id, **COUNTS),
        )
    )
    assert content(chunks)
    assert meters(chunks[-1].usage) == USAGE
    assert customer.settled()["charged"] == plain(2 * cost(USAGE, PRICES["mock/chat"]))
    assert [receipt["counted"] for receipt in customer.receipts()] == ["exact", "exact"]


async def test_refusals_are_the_sdks_own_exceptions(client, secure):
    with pytest.raises(openai.AuthenticationError) as caught:
        await settled(client("no-such-key").chat.completions.create(model="mock/chat", messages=HELLO))
    assert caught.value.code == "invalid_api_key"
    # Refused while it is still being sent.
    large = [{"role": "user", "content": "a" * (4 << 20)}]
    with pytest.raises(openai.APIStatusError) as caught:
        await settled(
            client(secure.customer().secret).chat.completions.create(model="mock/chat", messages=large)
        )
    assert caught.value.status_code == 413
