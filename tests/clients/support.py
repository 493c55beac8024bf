"""Programs, accounts and sums that the tests of clients share. Nothing here is about one client library."""

import json
import os
import re
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ADMIN_TOKEN = "an-admin-token-for-tests-only"
PATIENCE = 30.0


def binary(name):
    """The path of a program of this workspace; missing, it says what to do."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = target / "debug" / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run `cargo build --workspace --bins` first")
    return str(path)


def eventually(probe, what, patience=PATIENCE):
    """What `probe` answers as soon as that is neither false nor nothing."""
    deadline = time.monotonic() + patience
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience:.0f} s for {what}")
        time.sleep(0.02)


def http(url, method="GET", body=None, token=None):
    """Status and JSON (or text) of one plain request."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        data = json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=PATIENCE) as response:
            status, text = response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


class Program:
    """A child process whose stdout tells where it listens, and which is ended by its pid."""

    def __init__(self, arguments, **environment):
        self.name = Path(arguments[0]).name
        self.log = tempfile.TemporaryFile("w+")
        self.lines = []
        self.process = subprocess.Popen(
            [str(argument) for argument in arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, **environment},
        )
        # Read on for as long as it lives: a full pipe would stop it.
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def told(self, pattern):
        """The first group of `pattern` in what it has said on stdout, once it has."""

        def look():
            for line in list(self.lines):
                match = re.search(pattern, line)
                if match:
                    return match
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended: {self.errors()}")
            return None

        return eventually(look, f"{self.name} to say {pattern!r}").group(1)

    def errors(self):
        self.log.seek(0)
        return self.log.read()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


class Mock:
    """The mock upstream, and what it counted."""

    def __init__(self):
        self.program = Program([binary("mock-upstream"), "--listen", "127.0.0.1:0", "--quiet"])
        address = self.program.told(r"listening on (?:http://)?(\S+)")
        self.url = f"http://{address}"

    def requests(self, id):
        """The records of the requests that carried this `x-mock-id`."""
        _, text = http(f"{self.url}/requests")
        if isinstance(text, dict):
            text = json.dumps(text)
        records = [json.loads(line) for line in text.splitlines()]
        return [record for record in records if record["id"] == id]

    def last(self):
        """Headers and JSON body of the last request."""
        return http(f"{self.url}/headers")[1], http(f"{self.url}/body")[1]

    def stop(self):
        self.program.stop()


class Customer:
    """A key with a wallet of its own."""

    def __init__(self, tollgate, created):
        self.tollgate = tollgate
        self.secret = created["secret"]
        self.wallet_id = created["wallet"]

    def wallet(self):
        return self.tollgate.admin("GET", f"/admin/wallets/{self.wallet_id}")

    def receipts(self):
        return self.tollgate.admin("GET", f"/admin/receipts?wallet={self.wallet_id}")["data"]

    def get(self, path):
        """Status and JSON of the customer's own view."""
        return http(f"{self.tollgate.base_url}{path}", token=self.secret)

    def settled(self):
        """The wallet, once none of its requests is in flight."""
        return eventually(
            lambda: (lambda wallet: wallet if wallet["holds"] == 0 else None)(self.wallet()),
            f"the holds of {self.wallet_id} to end",
        )


class Tollgate:
    """`tollgate serve` with a config of the test's own and an empty ledger."""

    def __init__(self, config, **environment):
        self.folder = tempfile.TemporaryDirectory(prefix="tollgate-clients-")
        path = Path(self.folder.name) / "config.yaml"
        path.write_text(config)
        self.program = Program(
            [binary("tollgate"), "--config", path, "serve"],
            TOLLGATE_ADMIN_TOKEN=ADMIN_TOKEN,
            TOLLGATE_CLIENTS_LEDGER=str(Path(self.folder.name) / "tollgate.db"),
            **environment,
        )
        self.url = self.program.told(r"^listening on (\S+)")
        self.base_url = f"{self.url}/v1"
        self.admin_url = self.program.told(r"^admin API on (\S+)")
        self.customers = 0

    def admin(self, method, path, body=None):
        status, answer = http(f"{self.admin_url}{path}", method, body, ADMIN_TOKEN)
        assert 200 <= status < 300, f"{method} {path}: {status} {answer}"
        return answer

    def customer(self, balance="10", **terms):
        """A new key with a new wallet; `terms` are fields of `POST /admin/keys`."""
        self.customers += 1
        wish = {"name": f"customer-{self.customers}", "balance": balance, **terms}
        return Customer(self, self.admin("POST", "/admin/keys", wish))

    def audit(self):
        return self.admin("POST", "/admin/audit")["findings"]

    def stop(self):
        self.program.stop()
        self.folder.cleanup()


class Tap:
    """A relay in front of a server that changes no byte and counts the requests among them.

    It counts what a client sends, retries included, whatever HTTP library sends it.
    """

    HEAD = re.compile(rb"(?:GET|POST) /v1/\S* HTTP/1\.1\r\n")
    HEAD_BYTES_MAX = 1024
    REFUSAL = re.compile(rb"HTTP/1\.1 4\d\d ")

    def __init__(self, url):
        host, port = url.rsplit("/", 1)[1].split(":")
        self.server = (host, int(port))
        self.requests = 0
        #: Answers with a status of 4xx.
        self.refusals = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Wakes the thread in `accept`, which closing alone does not.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.server)
            for peer in (client, server):
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._up, args=(client, server), daemon=True).start()
            threading.Thread(target=self._down, args=(server, client), daemon=True).start()

    def _up(self, client, server):
        seen, open_ = b"", True
        for chunk in chunks(client):
            seen += chunk
            self.requests += len(self.HEAD.findall(seen))
            # A head that was counted is dropped; one that is still coming in is kept.
            seen = self.HEAD.sub(b"", seen)[-self.HEAD_BYTES_MAX :]
            # A server that has stopped reading may still be answering: go on, without it.
            open_ = open_ and sent(server, chunk)
        no_more(server)

    def _down(self, server, client):
        for chunk in chunks(server):
            self.refusals += len(self.REFUSAL.findall(chunk))
            if not sent(client, chunk):
                break
        no_more(client)


def chunks(peer):
    while True:
        try:
            chunk = peer.recv(65536)
        except OSError:
            return
        if not chunk:
            return
        yield chunk


def sent(peer, chunk):
    try:
        peer.sendall(chunk)
        return True
    except OSError:
        return False


def no_more(peer):
    try:
        peer.shutdown(socket.SHUT_WR)
    except OSError:
        pass


NANO = Decimal("0.000000001")
MILLION = Decimal(1_000_000)


def cost(usage, prices):
    """What `usage` costs at `prices` per million tokens, or for each of what is no token, rounded once, half to even."""
    total = Decimal(0)
    for meter, count in usage.items():
        per = Decimal(1) if meter in ("images", "seconds", "characters") else MILLION
        total += Decimal(prices[meter]) * count / per
    return total.quantize(NANO, rounding=ROUND_HALF_EVEN)


def plain(amount):
    """Money as it is written on the wire."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def meters(usage):
    """An SDK's usage as disjoint meters; those at zero are left out."""
    details = usage.prompt_tokens_details
    cached = (details.cached_tokens or 0) if details else 0
    details = usage.completion_tokens_details
    reasoning = (details.reasoning_tokens or 0) if details else 0
    counts = {
        "input": usage.prompt_tokens - cached,
        "cached_input": cached,
        "output": usage.completion_tokens - reasoning,
        "reasoning": reasoning,
    }
    return {meter: count for meter, count in counts.items() if count}


def dictionary(header):
    """A structured-field dictionary (RFC 9651) of numbers and strings."""
    members = (member.strip().split("=", 1) for member in header.split(","))
    return {name: text.strip('"') if text.startswith('"') else int(text) for name, text in members}
