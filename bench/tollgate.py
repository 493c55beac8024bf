"""Tollgate, as it is measured: its config, its process, and the proof that its ledger is right."""

import json
import secrets
import urllib.request

from processes import HERE, Failed, Group, Process, call, free_port, nano, stop_all
from stores import Redis

# As in tollgate.yaml, in nano units.
NANO_PER_INPUT, NANO_PER_OUTPUT, NANO_PER_IMAGE = 2_000, 8_000, 100_000_000
# How many requests a fleet has under way.
AT_ONCE = 96


class Tollgate:
    """Tollgate with its embedded ledger, or with one in Redis: a store of its own unless it is given one."""

    headers = {}

    def __init__(self, ledger, binaries, mock, folder, name=None, under=(), store=None, keys=None):
        self.name = name or f"tollgate {ledger}"
        self.folder = folder
        self.keys = keys or new_keys(1)
        self.key = ",".join(self.keys)
        self.token = secrets.token_hex(32)
        self.own_store = Redis(folder) if ledger == "redis" and store is None else None
        self.store = store or self.own_store
        self.config = folder / f"{self.name}.yaml"
        self.command = [*under, binaries / "tollgate", "serve", "--config", self.config]
        try:
            self.configure(ledger, mock)
            self.start()
        except BaseException:
            stop_all([self.own_store])
            raise

    def configure(self, ledger, mock):
        """Decides where it is, and writes its config."""
        if self.store:
            fields = {"kind": "redis", **self.store.place(), "journal": str(self.folder / f"{self.name}-journal.db")}
        else:
            self.path = self.folder / f"{self.name}.db"
            fields = {"kind": "embedded", "path": str(self.path), "durability": ledger}
        self.port = free_port()
        self.env = {
            "BENCH_LISTEN": f"127.0.0.1:{self.port}",
            "BENCH_ADMIN": f"127.0.0.1:{free_port()}",
            "BENCH_UPSTREAM": f"http://{mock.address}/v1",
            "TOLLGATE_ADMIN_TOKEN": self.token,
            **{f"BENCH_KEY{name}": key for name, key in zip(self.names(), self.keys)},
        }
        text = (HERE / "tollgate.yaml").read_text().replace("@LEDGER@", json.dumps(fields))
        above, key = text.split("keys:\n")
        # The last section is the one key; there are as many more like it as it shall have.
        keys = [key.replace("name: bench", f"name: bench{name}").replace("BENCH_KEY", f"BENCH_KEY{name}") for name in self.names()]
        self.config.write_text(f"{above}keys:\n{''.join(keys)}")

    def names(self):
        """What follows the name of each key."""
        return ["", *(f"_{number}" for number in range(1, len(self.keys)))]

    def keep_in(self, path):
        """From its next start on it keeps its ledger in this file."""
        self.config.write_text(self.config.read_text().replace(str(self.path), str(path)))
        self.path = path

    def start(self):
        """Starts it (again), and waits until it listens."""
        self.spawn()
        self.base = self.process.wait_for(r"listening on (\S+)")
        self.admin = self.process.wait_for(r"admin API on (\S+)")

    def spawn(self):
        self.process = Process(self.name, self.command, self.folder, self.env)

    def url(self, _streams):
        return self.base

    def holds(self):
        """How many holds are live."""
        return sum(wallet["holds"] for wallet in call(f"{self.admin}/admin/wallets", token=self.token)["data"])

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
        stop_all([self.process, self.own_store])


class Fleet:
    """Several Tollgates on one store."""

    headers = {}

    def __init__(self, size, binaries, mock, folder, store, keys, name=None):
        self.name = name or f"{size} proxies"
        self.store = store
        self.key = ",".join(keys)
        # As many requests are under way, however many proxies share them.
        self.options = ["--concurrency", str(AT_ONCE // size)]
        self.members = []
        try:
            for number in range(size):
                member = f"{self.name}, {number + 1}"
                self.members.append(Tollgate("redis", binaries, mock, folder, name=member, store=store, keys=keys))
        except BaseException:
            self.stop()
            raise
        self.process = Group([member.process for member in self.members])

    def urls(self):
        return [member.base for member in self.members]

    def verify(self, seen):
        return self.members[0].verify(seen)

    def stop(self):
        stop_all(self.members)


class Unmetered(Tollgate):
    """What Tollgate forwards and does not charge: the key is identified, a file of its wallet is fetched."""

    loads = ["chat, 200 B prompt"]
    # A file is no chat: what is sent in its place has no prompt, and the answer is as long.
    options = ["--get", "--path", "/v1/files/file-mock"]

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


def new_keys(count):
    """So many secrets, each of a key with a wallet of its own."""
    return [secrets.token_hex(24) for _ in range(count)]
