"""Streams that are open and say nothing: what each holds of memory, and that none is forgotten."""

import resource
import time

from processes import Failed
from runner import Run

from .stage import Line, Stage

STREAMS = 5_000
# So long each is silent. All must be open, and measured, before the first one goes on.
SILENT_SECONDS = 15
OPENED_PER_SECOND = 1_500
SETTLE_SECONDS = 2
KIB_MAX = 32
WARM_UP = ("streams", 200, ["--model", "bench-chat", "--stream", "--chunks", "1", "--concurrency", "100"])
# A chunk, the silence, and the end.
IDLE = ("idle streams", STREAMS, [
    "--model", "bench-chat", "--stream", "--chunks", "1", "--chunk-ms", str(SILENT_SECONDS * 1000),
    "--concurrency", str(STREAMS), "--rate", str(OPENED_PER_SECOND), "--requests", str(STREAMS),
])


def measure(binaries):
    allow_files()
    with Stage(binaries) as stage:
        # All connections, on both sides, may come to one worker.
        rows = [stage.nginx(connections=2 * STREAMS + 1_000), stage.bare(), stage.tollgate()]
        kib = []
        for row in rows:
            stage.runner.run(row, WARM_UP, ["--requests", str(WARM_UP[1])])
            with_streams(stage, row, lambda run, used: (kib.append(used), run.end()))
        tollgate = rows[-1]
        with_streams(stage, tollgate, lambda run, _: hang_up(stage, tollgate, run))
        wait_for_holds(tollgate)
        notes = stage.verified(rows)
    shown = [f"{used:.1f}" for used in kib]
    line = Line(f"{STREAMS:,} idle streams: KiB each", "", *shown, f"<= {KIB_MAX}", kib[-1] <= KIB_MAX)
    notes.append(
        f"Idle streams of Tollgate: {STREAMS:,} ended by themselves, {STREAMS:,} after their clients had hung up; "
        "each was charged to the nano, and no hold is left"
    )
    return [line], notes


def with_streams(stage, row, then):
    """Opens them all, and goes on with the run and the KiB that each has added to the memory of the proxy."""
    before = row.process.resident_mib()
    run = Run(stage.runner, row, IDLE, [])
    try:
        deadline = time.monotonic() + SILENT_SECONDS
        while stage.mock.now()["in_flight"] < STREAMS:
            if time.monotonic() > deadline:
                raise Failed(f"{row.name}: {stage.mock.now()['in_flight']} of {STREAMS} streams are open")
            time.sleep(0.1)
        time.sleep(SETTLE_SECONDS)
        used = (row.process.resident_mib() - before) * 1024 / STREAMS
        if stage.mock.now()["in_flight"] != STREAMS:
            raise Failed(f"{row.name}: streams ended before they were measured")
        then(run, used)
    finally:
        run.hang_up()


def hang_up(stage, row, run):
    """The clients go; the proxy reads on what they ordered, and charges it."""
    run.hang_up()
    stage.runner.count(row, run.before, stage.mock.totals(2 * SILENT_SECONDS), STREAMS)


def wait_for_holds(row):
    """Charges that the proxy makes for clients that are gone follow the mock's end a moment later."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and row.holds() > 0:
        time.sleep(0.1)


def allow_files():
    """Each stream takes two files of its proxy."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * STREAMS + 1_000:
        raise Failed(f"{STREAMS} streams need {2 * STREAMS + 1_000} open files; this system allows {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
