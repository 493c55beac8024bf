"""What a comparison was made on, and its table."""

import os
import platform
import re
import subprocess
from datetime import datetime, timezone
from pathlib import Path

from plain import find_nginx
from rivals import LITELLM, PORTKEY

LIMITS = """\
What this does not show: the load generator, the mock and the proxy share these cores, so requests/s and latency are
those of all together, Redis included; CPU per request is the proxy's own (user and system, all its processes), `of Redis`
what its redis-server took besides. Loopback, no TLS,
an upstream that answers at once, one wallet, an almost empty ledger. RSS is after the load; pages that nginx's processes
share count once for each."""

COLUMNS = [
    ("CPU us/request", "cpu_us", "{:.1f}"),
    ("x nginx", "to_nginx", "{:.2f}"),
    ("of Redis", "redis_cpu_us", "{:.1f}"),
    ("requests/s", "per_second", "{:.0f}"),
    ("p50 ms", "p50_ms", "{:.2f}"),
    ("beyond nginx", "p50_ms_beyond", "{:+.2f}"),
    ("p99 ms", "p99_ms", "{:.2f}"),
    ("beyond nginx", "p99_ms_beyond", "{:+.2f}"),
    ("first byte p50", "first_p50_ms", "{:.2f}"),
    ("first byte p99", "first_p99_ms", "{:.2f}"),
    ("RSS MiB", "rss_mib", "{:.0f}"),
    ("other work, cores", "others_cores", "{:.2f}"),
]


def conditions(root, binaries, command, rows):
    """Everything that a reader needs to judge the numbers."""
    cpu = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.+)", cpu) or re.search(r"(CPU part\s*:.+)", cpu)
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "command": " ".join(command),
        "cpu": model.group(1) if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "load_average_at_start": round(os.getloadavg()[0], 2),
        "tollgate": said([binaries / "tollgate", "--version"]),
        "commit": said(["git", "-C", root, "describe", "--always", "--dirty"]),
        "nginx": said([find_nginx(), "-v"]) if "nginx" in rows else "no nginx",
        "redis": " ".join(said(["redis-server", "--version"]).split()[:3]) if "tollgate redis" in rows else "no Redis",
        "rivals": [package for row, package in [("portkey", PORTKEY), ("litellm", LITELLM)] if row in rows],
        "rustc": said(["rustc", "--version"]),
    }


def said(command):
    """The first line that a program prints; a word in its place where there is no such program."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.decode(errors="replace").strip().split("\n")[0]


def table(facts, results, verdicts, rounds, seconds, skipped):
    """The whole report, as Markdown that also reads well in a terminal."""
    lines = [*heading(facts, f"medians of {rounds} interleaved rounds of {seconds} s"), ""]
    if skipped:
        lines += [f"Time ran out: {skipped} rounds were left out.", ""]
    grid = [["load", "row", *(title for title, _, _ in COLUMNS)]]
    before = None
    for result in results:
        cells = [shape.format(result[word]) if result[word] is not None else "" for _, word, shape in COLUMNS]
        grid.append(["" if result["load"] == before else result["load"], result["row"], *cells])
        before = result["load"]
    lines += markdown(grid, texts=2)
    lines += ["", *(f"{name}: {verdict}." for name, verdict in verdicts)]
    noisy = max((sample["others_cores"] for result in results for sample in result["rounds"]), default=0)
    lines += [f"{note}." for note in noise(noisy)]
    lines += ["", LIMITS]
    return "\n".join(lines)


def heading(facts, how):
    """When, how and on what it was measured."""
    return [
        f"{facts['date']}, `{facts['command']}`: {how}.",
        f"{facts['cpu']}, {facts['cores']} cores, Linux {facts['kernel']}, load average {facts['load_average_at_start']} at the start;",
        f"{facts['tollgate']} ({facts['commit']}), {', '.join([facts['nginx'], facts['redis'], *facts['rivals'], facts['rustc']])}.",
    ]


def noise(others_cores):
    """What to say where a run was disturbed."""
    if others_cores <= 0.2:
        return []
    return [f"Other work took up to {others_cores:.2f} cores during a round: repeat this on a quiet machine"]


def markdown(grid, texts):
    """A grid, its first line the titles, as a table; the first so many columns hold texts, the others numbers."""
    widths = [max(len(line[column]) for line in grid) for column in range(len(grid[0]))]
    lines = []
    for number, line in enumerate(grid):
        cells = (cell.ljust(width) if index < texts else cell.rjust(width) for index, (cell, width) in enumerate(zip(line, widths)))
        lines.append(f"| {' | '.join(cells)} |")
        if number == 0:
            marks = ("-" * width if index < texts else "-" * (width - 1) + ":" for index, width in enumerate(widths))
            lines.append(f"| {' | '.join(marks)} |")
    return lines
