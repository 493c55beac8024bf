"""The processes of a comparison: the mock upstream, and what stands in front of it."""

import json
import os
import re
import secrets
import shutil
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
# As in tollgate.yaml, in nano units.
NANO_PER_INPUT, NANO_PER_OUTPUT, NANO_PER_IMAGE = 2_000, 8_000, 100_000_000


class Failed(Exception):
    """The run cannot go on, or its numbers cannot be believed."""


def call(url, method="GET", token=None):
    """The JSON that `url` answers."""
    request = urllib.request.Request(url, method=method)
    if token:
        request.add_header("authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


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

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise Failed(f"{self.name} did not end when told to")


class Mock(Process):
    """The upstream: answers, and counts for itself what it sent."""

    def __init__(self, binaries, folder):
        command = [binaries / "mock-upstream", "--quiet", "--keep", "0", "--seconds-max", "3600"]
        super().__init__("mock", command, folder)
        self.address = self.wait_for(r"listening on (\S+)")

    def totals(self):
        """The mock's sums, once nothing is in flight."""
        for _ in range(200):
            totals = call(f"http://{self.address}/totals")
            if totals["in_flight"] == 0:
                return totals
            time.sleep(0.01)
        raise Failed("the mock still has requests in flight")


class Direct:
    """No proxy at all."""

    name = "direct"
    process = None
    store = None
    key = None
    headers = {}

    def __init__(self, mock):
        self.mock = mock

    def url(self, _streams):
        return f"http://{self.mock.address}"

    def verify(self, _seen):
        return "every answer complete"

    def stop(self):
        pass


class Nginx:
    """nginx, which forwards and counts nothing."""

    name = "nginx"
    store = None
    key = None
    headers = {}

    def __init__(self, mock, folder):
        self.binary = find_nginx()
        self.ports = [free_port(), free_port()]
        home = folder / "nginx"
        home.mkdir()
        # Its workers drop root and must still get in.
        home.chmod(0o755)
        text = (HERE / "nginx.conf").read_text()
        words = {"UPSTREAM": mock.address, "PORT": self.ports[0], "STREAM_PORT": self.ports[1]}
        for word, value in words.items():
            text = text.replace(f"@{word}@", str(value))
        (home / "nginx.conf").write_text(text)
        command = [self.binary, "-e", "stderr", "-p", home, "-c", home / "nginx.conf"]
        self.process = Process("nginx", command, home)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                call(f"{self.url(False)}/totals")
                return
            except OSError:
                if time.monotonic() > deadline or self.process.child.poll() is not None:
                    raise self.process.did_not_start() from None
                time.sleep(0.05)

    def url(self, streams):
        return f"http://127.0.0.1:{self.ports[streams]}"

    def verify(self, _seen):
        return "every answer complete"

    def stop(self):
        self.process.stop()


class Bare:
    """The libraries that Tollgate is made of, and nothing else."""

    name = "bare hyper"
    store = None
    key = None
    headers = {}

    def __init__(self, binaries, mock, folder):
        command = [binaries / "bare-proxy", "--upstream", mock.address]
        self.process = Process(self.name, command, folder)
        self.base = "http://" + self.process.wait_for(r"listening on (\S+)")

    def url(self, _streams):
        return self.base

    def verify(self, _seen):
        return "every answer complete"

    def stop(self):
        self.process.stop()


class Redis(Process):
    """A store: everything is kept, and written to disk every second."""

    def __init__(self, folder):
        home = folder / "redis"
        home.mkdir()
        self.port = free_port()
        keep = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
        place = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(home)]
        try:
            super().__init__("redis", ["redis-server", *place, *keep], folder)
        except FileNotFoundError:
            raise Failed("redis-server is missing: install it, or name the other rows with --rows") from None
        self.wait_for("(Ready to accept connections)")


class Tollgate:
    """Tollgate with its embedded ledger, or with one in Redis."""

    headers = {}

    def __init__(self, ledger, binaries, mock, folder, name=None, under=()):
        self.name = name or f"tollgate {ledger}"
        self.under = under
        self.key = secrets.token_hex(24)
        self.token = secrets.token_hex(32)
        self.store = Redis(folder) if ledger == "redis" else None
        try:
            self.start(ledger, binaries, mock, folder)
        except BaseException:
            self.stop_store()
            raise

    def start(self, ledger, binaries, mock, folder):
        if self.store:
            fields = {"kind": "redis", "url": f"redis://127.0.0.1:{self.store.port}", "journal": str(folder / "journal.db")}
        else:
            fields = {"kind": "embedded", "path": str(folder / f"{self.name}.db"), "durability": ledger}
        config = folder / f"{self.name}.yaml"
        config.write_text((HERE / "tollgate.yaml").read_text().replace("@LEDGER@", json.dumps(fields)))
        env = {
            "BENCH_ADMIN": f"127.0.0.1:{free_port()}",
            "BENCH_UPSTREAM": f"http://{mock.address}/v1",
            "BENCH_KEY": self.key,
            "TOLLGATE_ADMIN_TOKEN": self.token,
        }
        self.process = Process(self.name, [*self.under, binaries / "tollgate", "serve", "--config", config], folder, env)
        self.base = self.process.wait_for(r"listening on (\S+)")
        self.admin = self.process.wait_for(r"admin API on (\S+)")

    def url(self, _streams):
        return self.base

    def verify(self, seen):
        """Compares the ledger with what the mock has counted of this row's requests."""
        if any(seen[word] for word in ("cut", "errors", "client_gone")):
            raise Failed(f"{self.name}: not every answer of the mock was complete: {seen}")
        rows = call(f"{self.admin}/admin/usage", token=self.token)["data"]
        meters = lambda *names: sum(row["usage"].get(name, 0) for row in rows for name in names)
        charged = sum(nano(row["cost"]) for row in rows)
        cost = (
            seen["prompt_tokens"] * NANO_PER_INPUT
            + seen["completion_tokens"] * NANO_PER_OUTPUT
            + seen["images_delivered"] * NANO_PER_IMAGE
        )
        wallets = call(f"{self.admin}/admin/wallets", token=self.token)["data"]
        audit = call(f"{self.admin}/admin/audit", "POST", self.token)
        pairs = {
            "requests": (sum(row["requests"] for row in rows), seen["requests"]),
            "input tokens": (meters("input", "cached_input"), seen["prompt_tokens"]),
            "output tokens": (meters("output", "reasoning"), seen["completion_tokens"]),
            "images": (meters("images"), seen["images_delivered"]),
            "charged (nano)": (charged, cost),
            "charged to wallets (nano)": (sum(nano(wallet["charged"]) for wallet in wallets), cost),
            "shortfall (nano)": (sum(nano(row["shortfall"]) for row in rows), 0),
            "live holds": (sum(wallet["holds"] for wallet in wallets), 0),
            "audit findings": (audit["findings"], []),
        }
        wrong = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
        if wrong:
            raise Failed(f"{self.name}: the ledger (left) is not what the mock counted: {wrong}")
        return (
            f"{seen['requests']} requests, {seen['prompt_tokens']} + {seen['completion_tokens']} tokens, "
            f"{seen['images_delivered']} images, {cost} nano charged: as the mock counted; audit clean"
        )

    def stop(self):
        try:
            self.process.stop()
        finally:
            self.stop_store()

    def stop_store(self):
        if self.store:
            self.store.stop()


class Unmetered(Tollgate):
    """What Tollgate forwards and does not charge: the key is identified, a file of its wallet is fetched."""

    loads = ["chat, 200 B prompt"]
    # A file is no chat: what is sent in its place has no prompt, and the answer is as long.
    path = ["--get", "--path", "/v1/files/file-mock"]

    def __init__(self, binaries, mock, folder):
        super().__init__("process", binaries, mock, folder, name="tollgate unmetered")
        upload = urllib.request.Request(
            f"{self.base}/v1/files", method="POST", data=b"--b--",
            headers={"authorization": f"Bearer {self.key}", "content-type": "multipart/form-data; boundary=b"},
        )
        with urllib.request.urlopen(upload, timeout=10) as answer:
            answer.read()

    def verify(self, _seen):
        usage = call(f"{self.admin}/admin/usage", token=self.token)["data"]
        audit = call(f"{self.admin}/admin/audit", "POST", self.token)
        if usage or audit["findings"]:
            raise Failed(f"{self.name}: {usage} was charged; {audit['findings']}")
        return "nothing charged; audit clean"


def nano(text):
    """An exact decimal as nano units."""
    whole, _, part = text.partition(".")
    sign = -1 if whole.startswith("-") else 1
    return sign * (int(whole.lstrip("-")) * 10**9 + int(part.ljust(9, "0")))


def find_nginx():
    """nginx, installed where it is missing."""
    path = os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin"
    found = shutil.which("nginx", path=path)
    if found:
        return found
    become = [] if os.geteuid() == 0 else ["sudo"]
    try:
        for arguments in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "nginx-light"]):
            subprocess.run(
                [*become, "apt-get", *arguments], check=True, stdout=subprocess.DEVNULL,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            )
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failed(f"nginx is missing and apt-get did not install nginx-light: {error}") from None
    found = shutil.which("nginx", path=path)
    if not found:
        raise Failed("nginx-light was installed, but there is no nginx")
    return found
