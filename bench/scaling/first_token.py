"""Streams that come at half the rate that Tollgate can take: how much later the first token is, and whether one stalls."""

from statistics import median

from plain import Direct
from runner import STREAM

from .stage import Line, Stage

PACE_MS = 10
PACED = [*STREAM, "--chunk-ms", str(PACE_MS)]
WARM_UP = ("streams", 400, [*PACED, "--concurrency", "200"])
# So many at once that the processor is what limits them, and not their pace.
FULL = ("streams, full load", 0, [*PACED, "--concurrency", "1000"])
FULL_SECONDS = 4
ROUNDS, SECONDS = 5, 3
ADDED_MS_MAX, STALL_MS = 1, 40


def measure(binaries):
    with Stage(binaries) as stage:
        rows = [Direct(stage.mock), stage.nginx(), stage.bare(), stage.tollgate()]
        for row in rows:
            stage.runner.run(row, WARM_UP, ["--requests", str(WARM_UP[1])])
        capacity = stage.runner.run(rows[-1], FULL, ["--seconds", str(FULL_SECONDS)])["per_second"]
        rate = max(int(capacity / 2), 1)
        half = ("streams, half load", 0, [*PACED, "--rate", str(rate), "--concurrency", "2000"])
        samples = stage.runner.rounds(rows, half, ["--seconds", str(SECONDS)], ROUNDS)
        notes = stage.verified(rows)
    notes.append(f"Paced streams of Tollgate, mock and load generator on the same cores: {capacity:.0f} a second at the most")
    of = lambda row, word: [sample[word] for sample in samples[row.name]]
    added = lambda row, word: median(ours - theirs for ours, theirs in zip(of(row, word), of(rows[1], word)))
    lines = []
    for name in ("p50", "p99"):
        word = f"first_{name}_ms"
        shown = [f"{median(of(row, word)):.2f}" for row in rows]
        lines.append(Line(f"first token, {rate} paced streams/s: {name} ms", *shown))
        beyond = added(rows[-1], word)
        goal = (f"<= {ADDED_MS_MAX}", beyond <= ADDED_MS_MAX) if name == "p99" else ("", None)
        lines.append(Line("... beyond nginx, ms", "", "", f"{added(rows[2], word):+.2f}", f"{beyond:+.2f}", *goal))
    # A pause of the whole machine, or of mock or load generator, shows without any proxy too.
    gaps = [max(of(row, "longest_gap_ms")) - PACE_MS for row in rows]
    shown = [f"{gap:.1f}" for gap in gaps]
    met = gaps[-1] < max(STALL_MS, gaps[0])
    lines.append(Line("longest wait between two chunks, beyond the pace: ms", *shown, f"< {STALL_MS}", met))
    return lines, notes
