"""Clients that come once: a connection for each request, at a steady rate."""

from runner import SMALL_CHAT, middle

from .stage import Line, Stage

PER_SECOND = 1_000
ROUNDS, SECONDS = 3, 3
# Less than this of the rate, and the row did not keep up.
KEPT_UP = 0.95
LOAD = ("chat", 500, [*SMALL_CHAT, "--rate", str(PER_SECOND), "--concurrency", "256"])
FRESH = (LOAD[0], LOAD[1], [*LOAD[2], "--fresh"])


def measure(binaries):
    with Stage(binaries) as stage:
        rows = [stage.nginx(), stage.bare(), stage.tollgate()]
        extent = ["--seconds", str(SECONDS)]
        for row in rows:
            stage.runner.run(row, FRESH, ["--requests", str(FRESH[1])])
        fresh, kept = (stage.runner.rounds(rows, load, extent, ROUNDS) for load in (FRESH, LOAD))
        notes = stage.verified(rows)
    numbers = lambda samples, word, shape: [shape.format(middle(samples[row.name], word)) for row in rows]
    what = f"{PER_SECOND:,} requests/s, each with its own connection"
    per_second = [middle(fresh[row.name], "per_second") for row in rows]
    lines = [
        Line(f"{what}: CPU us/request", "", *numbers(fresh, "cpu_us", "{:.0f}")),
        Line("the same rate, connections kept: CPU us/request", "", *numbers(kept, "cpu_us", "{:.0f}")),
        Line(f"{what}: p99 ms", "", *numbers(fresh, "p99_ms", "{:.2f}")),
        Line(
            f"{what}: answered a second, none with an error", "", *(f"{rate:.0f}" for rate in per_second),
            f">= {PER_SECOND * KEPT_UP:.0f}", per_second[-1] >= PER_SECOND * KEPT_UP,
        ),
    ]
    return lines, notes
