"""What the tests of clients run against: the demo, and a proxy in front of the mock upstream."""

import asyncio
import inspect
import json
import uuid

import openai
import pytest

from support import Mock, Program, Tap, Tollgate, binary

PRICES = {
    "mock/chat": {"input": "4", "cached_input": "1", "output": "16", "reasoning": "16"},
    "mock/image": {"images": "0.35"},
    "sim/text": {"input": "4", "output": "16"},
    "sim/embedding": {"input": "0.5"},
    "sim/image": {"images": "0.35"},
    "sim/gpt-image": {"input": "5", "output": "40"},
    "sim/rerank": {"input": "0.7"},
    "sim/speech": {"characters": "0.0001"},
    "sim/whisper": {"seconds": "0.0006"},
    "sim/transcribe": {"input": "6", "audio_input": "18", "output": "10"},
}

CONFIG = """
server: {{ listen: "127.0.0.1:0", admin_listen: "127.0.0.1:0", timezone: Asia/Shanghai, drain_seconds: 1 }}
ledger: {{ kind: embedded, path: "${{TOLLGATE_CLIENTS_LEDGER}}", durability: process }}
currency: CNY
upstreams:
  mock: {{ base_url: "{mock}/v1", api_key: the-operators-own }}
  hasty: {{ base_url: "{mock}/v1", response_timeout_ms: 200 }}
  simulator: {{ kind: simulator }}
  nobody: {{ base_url: "http://127.0.0.1:1/v1", connect_timeout_ms: 1000 }}
models:
  - id: mock/chat
    aliases: [chat]
    upstream: mock
    context_tokens: 100000
    max_output_tokens: 1000
    prices: [{{ per: 1M tokens, input: 4, cached_input: 1, output: 16 }}]
  - {{ id: mock/hasty, upstream: hasty, max_output_tokens: 1000, prices: [{{ per: 1M tokens, input: 4, output: 16 }}] }}
  - {{ id: mock/nobody, upstream: nobody, max_output_tokens: 1000, prices: [{{ per: 1M tokens, input: 4, output: 16 }}] }}
  - {{ id: sim/text, upstream: simulator, max_output_tokens: 1000, prices: [{{ per: 1M tokens, input: 4, output: 16 }}] }}
  - {{ id: sim/embedding, category: embedding, upstream: simulator, prices: [{{ per: 1M tokens, input: 0.5 }}] }}
  - {{ id: sim/image, category: text-to-image, upstream: simulator, prices: [{{ per: image, image: 0.35 }}] }}
  - id: sim/gpt-image
    category: text-to-image
    upstream: simulator
    max_output_tokens: 7000
    prices: [{{ per: 1M tokens, input: 5, output: 40 }}]
  - {{ id: sim/rerank, category: rerank, upstream: simulator, prices: [{{ per: 1M tokens, input: 0.7 }}] }}
  - {{ id: sim/speech, category: speech, upstream: simulator, prices: [{{ thousand_characters: 0.1 }}] }}
  - {{ id: sim/whisper, category: transcription, seconds_max: 600, upstream: simulator, prices: [{{ second: 0.0006 }}] }}
  - id: sim/transcribe
    category: transcription
    upstream: simulator
    context_tokens: 20000
    max_output_tokens: 1000
    prices: [{{ per: 1M tokens, input: 6, audio_input: 18, output: 10 }}]
  - {{ id: sim/moderation, category: moderation, upstream: simulator, prices: [{{ free: true }}] }}
  - {{ id: mock/image, category: text-to-image, upstream: mock, prices: [{{ per: image, image: 0.35 }}] }}
grants:
  - {{ name: free-images, unit: images, amount: 3, models: [mock/image] }}
caps: {{ request_body_bytes: 256 KiB, request_memory_bytes: 512 KiB }}
"""


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"openai {openai.__version__}")


def pytest_pyfunc_call(pyfuncitem):
    """Coroutine tests run in a loop of their own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(params=["sync", "async"])
def sdk(request):
    """A client of either kind; a test of both is a coroutine that goes through `settled`."""
    kind = {"sync": openai.OpenAI, "async": openai.AsyncOpenAI}[request.param]

    def client(base_url, api_key, **options):
        return kind(base_url=base_url, api_key=api_key, **options)

    return client


@pytest.fixture(scope="session")
def demo():
    """`tollgate demo`: its base_url, and its key with 10 CNY and the shipped free quotas, those of tokens cut to 20."""
    program = Program([binary("tollgate"), "--json", "demo", "--listen", "127.0.0.1:0"])
    try:
        yield json.loads(program.told(r"^(\{.*\"base_url\".*\})$"))
    finally:
        program.stop()


@pytest.fixture(scope="session")
def mock():
    mock = Mock()
    try:
        yield mock
    finally:
        mock.stop()


@pytest.fixture(scope="session")
def proxy(mock):
    """`tollgate serve` in front of the mock; at the end its books must add up."""
    tollgate = Tollgate(CONFIG.format(mock=mock.url))
    try:
        yield tollgate
        assert tollgate.audit() == []
    finally:
        tollgate.stop()


@pytest.fixture
def tap(proxy):
    """The proxy behind a relay that counts the attempts of this test."""
    with Tap(proxy.url) as tap:
        yield tap


@pytest.fixture
def call_id():
    """A name for the request of this test, by which the mock knows it."""
    return uuid.uuid4().hex
