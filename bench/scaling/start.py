"""How long a start takes, and what a Tollgate that has done nothing yet holds of memory."""

import http.client
import json
import time
from statistics import median

from processes import START_SECONDS, Failed
from runner import SMALL_CHAT

from .filled import fill
from .stage import Line, Stage

STARTS = 10
START_MS_MAX = 300
IDLE_MB_MAX = 40
WALLETS = 100_000
STARTS_FILLED = 3
MB_PER_MIB = 1.048576
SETTLE_SECONDS = 1
BODY = json.dumps({"model": "bench-chat", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 16})


def measure(binaries):
    with Stage(binaries) as stage:
        tollgate = stage.tollgate()
        stage.runner.run(tollgate, ("chat", 0, SMALL_CHAT), ["--requests", "200"])
        filled = fill(tollgate, stage.folder / "filled.db", WALLETS, 0)
        new_ms, new_mb = started(tollgate, STARTS, lambda: remove(tollgate.path))
        tollgate.keep_in(filled)
        filled_ms, filled_mb = started(tollgate, STARTS_FILLED)
    lines = [
        Line("start to first answer, new store: ms", tollgate=f"{new_ms:.0f}", goal=f"< {START_MS_MAX}", met=new_ms < START_MS_MAX),
        Line("memory before any request, new store: MB", tollgate=f"{new_mb:.1f}", goal=f"< {IDLE_MB_MAX}", met=new_mb < IDLE_MB_MAX),
        Line(f"start to first answer, {WALLETS:,} wallets: ms", tollgate=f"{filled_ms:.0f}"),
        Line(f"memory before any request, {WALLETS:,} wallets: MB", tollgate=f"{filled_mb:.1f}"),
    ]
    return lines, []


def started(tollgate, times, before=lambda: None):
    """The median of the milliseconds from a start to its first answer, and the MB that it holds before any request."""
    tollgate.process.stop()
    took = []
    for _ in range(times):
        before()
        took.append(first_answer_seconds(tollgate) * 1000)
        tollgate.process.stop()
    before()
    tollgate.start()
    time.sleep(SETTLE_SECONDS)
    return median(took), tollgate.process.resident_mib() * MB_PER_MIB


def first_answer_seconds(tollgate, patience=START_SECONDS):
    """Starts it, and asks until it answers."""
    headers = {"authorization": f"Bearer {tollgate.keys[0]}", "content-type": "application/json"}
    began = time.perf_counter()
    tollgate.spawn()
    while time.perf_counter() - began < patience and tollgate.process.child.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", tollgate.port, timeout=patience)
        try:
            connection.request("POST", "/v1/chat/completions", BODY, headers)
            answer = connection.getresponse()
            text = answer.read()
        except ConnectionRefusedError:
            time.sleep(0.002)
            continue
        finally:
            connection.close()
        took = time.perf_counter() - began
        if answer.status != 200 or not answer.headers.get("x-tollgate-cost"):
            raise Failed(f"{tollgate.name}: the first answer is {answer.status}: {text[:300]}")
        return took
    raise tollgate.process.did_not_start()


def remove(path):
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
