"""A real model behind Tollgate: `scripts/real-model` runs this, and the tests of real input build on it."""

import signal
import sys
import threading
from pathlib import Path

from llama_server import CONTEXT_TOKENS, MODEL
from support import Program, Tollgate

PRICES = {"input": "4", "cached_input": "1", "output": "16"}

CONFIG = """
server: {{ listen: "127.0.0.1:0", admin_listen: "127.0.0.1:0", timezone: UTC, drain_seconds: 1 }}
ledger: {{ kind: embedded, path: "${{TOLLGATE_CLIENTS_LEDGER}}", durability: process }}
currency: CNY
upstreams:
  llama: {{ base_url: "{upstream}/v1" }}
models:
  - id: {model}
    upstream: llama
    context_tokens: {context}
    max_output_tokens: 512
    prices: [{{ per: 1M tokens, input: {input}, cached_input: {cached_input}, output: {output} }}]
"""

SNIPPET = """
SmolLM2-135M answers on this machine's CPU, and Tollgate charges what llama.cpp counts: {input} CNY for
1M tokens of input ({cached_input} where cached), {output} for 1M of output, from a fresh key with {balance} CNY.

In another terminal, with {python}:

  from openai import OpenAI
  client = OpenAI(base_url="{base_url}", api_key="{key}")
  answer = client.chat.completions.with_raw_response.create(
      model="{model}", max_tokens=64,
      messages=[{{"role": "user", "content": "Why is the sky blue?"}}])
  print(answer.parse().choices[0].message.content)
  print({{name: text for name, text in answer.headers.items() if name.startswith("x-tollgate-")}})

or with curl:

  curl -i {base_url}/chat/completions -H 'Authorization: Bearer {key}' \\
    -H 'Content-Type: application/json' \\
    -d '{{"model": "{model}", "max_tokens": 64, "messages": [{{"role": "user", "content": "Why is the sky blue?"}}]}}'

  curl {base_url}/balance -H 'Authorization: Bearer {key}'

Ctrl-C ends it all."""


class RealModel:
    """The model's server as a process of its own, and Tollgate in front of it."""

    def __init__(self):
        script = Path(__file__).with_name("llama_server.py")
        self.server = Program([sys.executable, script])
        try:
            self.url = self.server.told(r"^listening on (\S+)")
            terms = {"upstream": self.url, "model": MODEL, "context": CONTEXT_TOKENS}
            self.tollgate = Tollgate(CONFIG.format(**terms, **PRICES))
        except BaseException:
            self.server.stop()
            raise

    def stop(self):
        try:
            self.tollgate.stop()
        finally:
            self.server.stop()


def main():
    balance = "1"
    # So that being told to end, too, ends the servers first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    model = RealModel()
    try:
        customer = model.tollgate.customer(balance)
        terms = {"base_url": model.tollgate.base_url, "key": customer.secret, "balance": balance}
        print(SNIPPET.format(python=sys.executable, model=MODEL, **terms, **PRICES), flush=True)
        threading.Event().wait()
    except KeyboardInterrupt:
        pass
    finally:
        model.stop()


if __name__ == "__main__":
    main()
