"""Rivals that a registry has, each as its documentation starts it. They forward; none of them keeps a balance here."""

import os
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

from plain import Forwarder
from processes import START_SECONDS, Failed, Process, free_port

PORTKEY = "@portkey-ai/gateway@1.15.2"
LITELLM = "litellm[proxy]==1.81.0"
# They import for long.
RIVAL_START_SECONDS = 4 * START_SECONDS


class Rival(Forwarder):
    """One of them. It is so much slower that one load tells enough."""

    key = "bench-key"
    loads = ["chat, 200 B prompt"]

    def wait_until_up(self, path):
        deadline = time.monotonic() + RIVAL_START_SECONDS
        while time.monotonic() < deadline and self.process.child.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.base}{path}", timeout=2):
                    return
            except OSError:
                time.sleep(0.2)
        raise self.process.did_not_start()


class Portkey(Rival):
    """Portkey's gateway, told by headers where to go."""

    name = "portkey"

    def __init__(self, binaries, mock, folder):
        home = binaries.parent / "rivals" / "portkey"
        package = home / "node_modules" / "@portkey-ai" / "gateway"
        if not package.exists():
            install(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(home), PORTKEY])
        port = free_port()
        command = ["node", package / "build" / "start-server.js", f"--port={port}", "--headless"]
        env = {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1", "NODE_ENV": "production"}
        self.process = Process(self.name, command, folder, env)
        self.base = f"http://127.0.0.1:{port}"
        self.headers = {
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"http://{mock.address}/v1",
            "x-portkey-forward-headers": "x-mock-bytes,x-mock-id",
        }
        self.wait_until_up("/")


class LiteLlm(Rival):
    """LiteLLM's proxy, one worker, without a database: no keys of its own, no spend."""

    name = "litellm"

    def __init__(self, binaries, mock, folder):
        home = binaries.parent / "rivals" / "litellm"
        python = home / "bin" / "python"
        if not (home / "bin" / "litellm").exists():
            install(["python3", "-m", "venv", str(home)])
            install([str(python), "-m", "pip", "install", "-q", LITELLM])
        port = free_port()
        config = folder / "litellm.yaml"
        config.write_text(
            "model_list:\n"
            "  - model_name: bench-chat\n"
            f"    litellm_params: {{ model: openai/bench-chat, api_base: \"http://{mock.address}/v1\", api_key: unused }}\n"
            "litellm_settings: { telemetry: false }\n"
            "general_settings: { forward_client_headers_to_llm_api: true }\n"
        )
        command = [
            home / "bin" / "litellm", "--config", config, "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1",
        ]
        env = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PATH": f"{home / 'bin'}:{os.environ['PATH']}"}
        self.process = Process(self.name, command, folder, env)
        self.base = f"http://127.0.0.1:{port}"
        self.wait_until_up("/health/liveliness")


def install(command):
    """Runs an installer. A rival that does not install fails the run: name the other rows then."""
    if shutil.which(command[0]) is None and not Path(command[0]).exists():
        raise Failed(f"{command[0]} is missing: install it, or name the other rows with --rows")
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)} failed:\n{done.stdout.decode(errors='replace')[-2000:]}")
