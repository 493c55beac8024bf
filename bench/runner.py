"""Sends loads to what is compared, and measures what they cost."""

import json
import os
import subprocess
import time
from pathlib import Path
from statistics import median

from processes import TICKS, Failed

CHAT = ["--model", "bench-chat", "--header", "x-mock-bytes=2048"]
SMALL_CHAT = [*CHAT, "--prompt-bytes", "200"]
STREAM = ["--model", "bench-chat", "--stream", "--chunks", "50"]


class Runner:
    """Sends loads to rows, and keeps the mock's count of each row."""

    def __init__(self, binaries, mock):
        self.loadgen = binaries / "loadgen"
        self.mock = mock
        self.seen = {}
        # The most that anything else took of the machine during a run.
        self.others_cores = 0

    def run(self, row, load, extent):
        """One run of a load; its numbers."""
        return Run(self, row, load, extent).end()

    def rounds(self, rows, load, extent, rounds, deadline=None):
        """The samples of each row, the rounds interleaved over the rows; only one of them beyond the deadline."""
        samples = {row.name: [] for row in rows}
        for turn in range(rounds):
            if turn > 0 and deadline and time.monotonic() > deadline:
                break
            # Another row begins each round, so that none always follows the same one.
            first = turn % len(rows)
            for row in rows[first:] + rows[:first]:
                samples[row.name].append(self.run(row, load, extent))
        return samples

    def verify(self, rows):
        """What each row's own account was compared with. Fails where they differ."""
        return [(row.name, row.verify(self.seen[row.name])) for row in rows]

    def count(self, row, before, after, sent):
        seen = self.seen.setdefault(row.name, {})
        for name, value in after.items():
            if isinstance(value, int):
                seen[name] = seen.get(name, 0) + value - before[name]
        if after["complete"] - before["complete"] != sent:
            raise Failed(f"{row.name}: {sent} requests were sent, the mock answered {after['complete'] - before['complete']}")


class Run:
    """A load on its way: one generator for each address of the row."""

    def __init__(self, runner, row, load, extent):
        self.runner, self.row, self.mock = runner, row, runner.mock
        self.name, _, options = load
        options = [*options, *getattr(row, "options", []), *extent]
        for header, value in row.headers.items():
            options += ["--header", f"{header}={value}"]
        urls = row.urls() if hasattr(row, "urls") else [row.url("streams" in self.name)]
        env = {**os.environ, "LOADGEN_KEY": row.key or "unused"}
        self.before, self.busy = self.mock.totals(), machine_busy()
        self.cpu = self.spent()
        self.children = []
        for url in urls:
            command = [runner.loadgen, "--json", "--url", url, *options]
            self.children.append(subprocess.Popen(command, env=env, stdout=subprocess.PIPE))

    def spent(self):
        """Processor seconds so far of the row's processes, of its store's, and of the mock's."""
        return [each.cpu_seconds() if each else 0 for each in (self.row.process, self.row.store, self.mock)]

    def end(self):
        """Waits for the end; the numbers."""
        try:
            said = [child.communicate()[0] for child in self.children]
        finally:
            self.hang_up()
        if any(child.returncode != 0 for child in self.children):
            raise Failed(f"{self.row.name}, {self.name}: loadgen failed")
        reports = [json.loads(text) for text in said]
        cpu, store_cpu, mock_cpu = (after - before for before, after in zip(self.cpu, self.spent()))
        busy = machine_busy() - self.busy
        for report in reports:
            if report["ok"] != report["requests"] or not report["requests"] or report["connection_errors"]:
                raise Failed(f"{self.row.name}, {self.name}: not every answer was good: {report}")
        requests = sum(report["requests"] for report in reports)
        self.runner.count(self.row, self.before, self.mock.totals(), requests)
        loadgen_cpu = sum(report["cpu_seconds"] for report in reports)
        others = busy - cpu - store_cpu - mock_cpu - loadgen_cpu
        seconds = max(report["seconds"] for report in reports)
        others_cores = max(others, 0) / seconds
        # The kernel counts in hundredths of a second: a short run tells too little.
        if seconds >= 1:
            self.runner.others_cores = max(self.runner.others_cores, others_cores)
        worst = lambda spread, word: max(report[spread][word] for report in reports) / 1e3
        return {
            "requests": requests,
            "cpu_us": cpu * 1e6 / requests if self.row.process else None,
            "redis_cpu_us": store_cpu * 1e6 / requests if self.row.store else None,
            "per_second": sum(report["requests_per_second"] for report in reports),
            "p50_ms": worst("latency_us", "p50"),
            "p99_ms": worst("latency_us", "p99"),
            "first_p50_ms": worst("first_byte_us", "p50") or None,
            "first_p99_ms": worst("first_byte_us", "p99") or None,
            "longest_gap_ms": worst("longest_gap_us", "max"),
            "rss_mib": self.row.process.resident_mib() if self.row.process else None,
            "mock_cpu_us": mock_cpu * 1e6 / requests,
            "loadgen_cpu_us": loadgen_cpu * 1e6 / requests,
            "others_cores": others_cores,
        }

    def hang_up(self):
        """The clients are gone, in the middle of whatever they were reading."""
        for child in self.children:
            child.kill()
            child.wait()


def middle(samples, word):
    """The median of a number over the rounds; none where a round has none."""
    values = [sample[word] for sample in samples]
    return None if None in values else median(values)


def machine_busy():
    """Processor seconds that anything on this machine has spent so far."""
    user, nice, system, _idle, _wait, irq, softirq, *_ = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    )
    return (user + nice + system + irq + softirq) / TICKS
