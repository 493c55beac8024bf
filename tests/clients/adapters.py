"""The other clients: which there are, what each can do, and how the tests speak with them.

An adapter is a program in `adapters/` around one client library, used as its documentation says. It reads a question
a line and writes an answer a line (see `adapters/python/speak.py`), so that all assertions lie here, once.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from support import ROOT, Program, eventually

SOURCES = Path(__file__).with_name("adapters")
# LangChain for JavaScript tries seven times, and doubles its pauses: that is two minutes.
PATIENCE = 300.0
ALL = frozenset({"text", "stream", "tools", "image", "look"})
# Nobody is called but the proxy.
QUIET = {
    "NO_PROXY": "127.0.0.1",
    "DO_NOT_TRACK": "1",
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
    "AI_SDK_TELEMETRY_DISABLED": "1",
    "PYTHONPATH": "",
}


@dataclass(frozen=True)
class Hits:
    """Requests for one action of the user that is refused: 402, 429 with Retry-After, 429 that says it is final."""

    spent: int
    later: int
    final: int


@dataclass(frozen=True)
class Kind:
    command: tuple
    hits: Hits
    #: The error that a 402 ends in, as the client names it.
    error: str
    does: frozenset = ALL
    image_model: str = "sim/image"


SDK = Hits(spent=1, later=3, final=1)
KINDS = {
    "openai-node": Kind(("node", "with-openai.cjs"), SDK, "APIError"),
    "openai-node-responses": Kind(("node", "with-openai-responses.cjs"), SDK, "APIError", ALL - {"image"}),
    "openai-go": Kind(("go",), SDK, "*apierror.Error"),
    "ai-sdk-openai": Kind(("node", "with-ai-sdk.cjs", "openai"), Hits(1, 3, 3), "AI_APICallError"),
    "ai-sdk-openai-responses": Kind(
        ("node", "with-ai-sdk.cjs", "openai-responses"), Hits(1, 3, 3), "AI_APICallError", ALL - {"image"}
    ),
    "ai-sdk-anthropic": Kind(
        ("node", "with-ai-sdk.cjs", "anthropic"), Hits(1, 3, 3), "AI_APICallError", ALL - {"image"}
    ),
    "ai-sdk-openai-compatible": Kind(("node", "with-ai-sdk.cjs", "openai-compatible"), Hits(1, 3, 3), "AI_APICallError"),
    "langchain-js": Kind(("node", "with-langchain.cjs"), Hits(1, 7, 1), "APIError"),
    "langchain": Kind(("python", "with_langchain.py"), SDK, "APIStatusError", ALL - {"image"}),
    "llama-index": Kind(("python", "with_llama_index.py"), Hits(1, 12, 3), "APIStatusError", ALL - {"image"}),
    # It fails on an image's usage without `input_tokens`, which is what some vendors send.
    "litellm": Kind(("python", "with_litellm.py"), SDK, "APIError", image_model="sim/image#no-usage"),
}

QUICK = os.environ.get("TOLLGATE_TEST_QUICK") == "1"
# In a quick run, one client of each language's HTTP library; the others stand on these, or start slowly.
CLIENTS = ["openai-node", "openai-go", "ai-sdk-openai-compatible", "langchain"] if QUICK else list(KINDS)


def made():
    """Where `scripts/clients-adapters` puts what the adapters run on."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = target / "clients-adapters"
    if not (path / "go.stamp").exists():
        raise FileNotFoundError(f"{path} is missing or not complete: run scripts/clients-adapters first")
    return path


class Adapter:
    """A client library in a process of its own."""

    def __init__(self, name):
        self.kind = KINDS[name]
        language, *rest = self.kind.command
        home = made()
        runs = {
            "go": [home / "go" / "with-openai"],
            "node": [home / "node" / "node", *(SOURCES / "node" / part for part in rest[:1]), *rest[1:]],
            "python": [home / "python" / "bin" / "python", *(SOURCES / "python" / part for part in rest)],
        }
        modules = str(home / "node" / "node_modules")
        self.program = Program(runs[language], **QUIET, NODE_PATH=modules)
        try:
            self.program.told("^(ready)$")
        except BaseException:
            self.stop()
            raise

    def ask(self, do, base_url, customer, **more):
        """What the client answers to one question, an error (`{"error": ...}`) included."""
        question = {"do": do, "base_url": base_url, "api_key": customer.secret, **more}
        before = len(self.program.lines)
        self.program.process.stdin.write(json.dumps(question) + "\n")
        self.program.process.stdin.flush()

        def answer():
            if self.program.process.poll() is not None:
                raise RuntimeError(f"{self.program.name} ended: {self.program.errors()}")
            return self.program.lines[before:]

        (line,) = eventually(answer, f"an answer to {do}", PATIENCE)
        return json.loads(line)

    def stop(self):
        self.program.stop()
