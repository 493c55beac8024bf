"""Programs that are started, watched and stopped, and the mock upstream, which is one of them."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 20
STOP_SECONDS = 20


class Failed(Exception):
    """The run cannot go on, or its numbers cannot be believed."""


def call(url, method="GET", token=None):
    """The JSON that `url` answers."""
    request = urllib.request.Request(url, method=method)
    if token:
        request.add_header("authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def stop_all(processes):
    """Stops every one of them, also where one does not end as told; `None` is nothing to stop."""
    failures = []
    for process in filter(None, processes):
        try:
            process.stop()
        except Failed as failure:
            failures.append(failure)
    if failures:
        raise failures[0]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A program that serves until it is stopped, with all its children."""

    def __init__(self, name, command, folder, env=None):
        self.name = name
        self.log = folder / f"{name.replace(' ', '-')}.log"
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(
                command, cwd=folder, env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )

    def wait_for(self, pattern):
        """What `pattern` captures in the program's output, once it is there."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.child.poll() is None:
            found = re.search(pattern, self.log.read_text(errors="replace"))
            if found:
                return found.group(1)
            time.sleep(0.02)
        raise self.did_not_start()

    def did_not_start(self):
        """The failure to raise; the process is gone by then."""
        self.child.kill()
        self.child.wait()
        return Failed(f"{self.name} did not start:\n{self.log.read_text(errors='replace')}")

    def pids(self):
        found = [self.child.pid]
        for task in Path(f"/proc/{self.child.pid}/task").iterdir():
            found += [int(pid) for pid in (task / "children").read_text().split()]
        return found

    def cpu_seconds(self):
        """User and system time of all its processes so far, those included that have ended."""
        ticks = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
            ticks += sum(int(field) for field in fields[11:15])
        return ticks / TICKS

    def resident_mib(self):
        """Memory of all its processes; pages that they share count once for each."""
        kib = 0
        for pid in self.pids():
            status = Path(f"/proc/{pid}/status").read_text()
            kib += int(re.search(r"VmRSS:\s+(\d+)", status).group(1))
        return kib / 1024

    def written_bytes(self):
        """What it has had written to disk so far, its log included."""
        return int(re.search(r"\nwrite_bytes: (\d+)", Path(f"/proc/{self.child.pid}/io").read_text()).group(1))

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise Failed(f"{self.name} did not end when told to")


class Group:
    """Several programs that do one thing together."""

    def __init__(self, members):
        self.members = members

    def cpu_seconds(self):
        return sum(member.cpu_seconds() for member in self.members)

    def resident_mib(self):
        return sum(member.resident_mib() for member in self.members)

    def stop(self):
        stop_all(self.members)


class Mock(Process):
    """The upstream: answers, and counts for itself what it sent."""

    def __init__(self, binaries, folder):
        command = [binaries / "mock-upstream", "--quiet", "--keep", "0", "--seconds-max", "3600"]
        super().__init__("mock", command, folder)
        self.address = self.wait_for(r"listening on (\S+)")

    def now(self):
        """The mock's sums as they are."""
        return call(f"http://{self.address}/totals")

    def totals(self, seconds=2):
        """The mock's sums, once nothing is in flight."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            totals = self.now()
            if totals["in_flight"] == 0:
                return totals
            time.sleep(0.01)
        raise Failed("the mock still has requests in flight")


def nano(text):
    """An exact decimal as nano units."""
    whole, _, part = text.partition(".")
    sign = -1 if whole.startswith("-") else 1
    return sign * (int(whole.lstrip("-")) * 10**9 + int(part.ljust(9, "0")))
