"""A real browser: a page of one origin calls the proxy of another over TLS and HTTP/2, as far as it may."""

import http.server
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
import trustme

from conftest import CONFIG, PRICES
from support import PATIENCE, Tollgate, cost, plain

pytestmark = pytest.mark.skipif(
    os.environ.get("TOLLGATE_TEST_QUICK") == "1", reason="a browser is for the full run"
)

COUNTS = {"prompt": 300, "completion": 50}
USAGE = {"input": 300, "output": 50}

# The page tells its own server what it found.
PAGE = """<!doctype html><title>A page</title><script>
const url = %(url)s, key = %(key)s, told = %(told)s;
const ask = (fields) => fetch(url + "/chat/completions", {
  method: "POST",
  headers: { "authorization": "Bearer " + key, "content-type": "application/json", ...told },
  body: JSON.stringify({ model: "mock/chat", messages: [{ role: "user", content: "Hello!" }], ...fields }),
});
const found = {};
(async () => {
  try {
    const whole = await ask({});
    found.status = whole.status;
    found.cost = whole.headers.get("x-tollgate-cost");
    found.request = whole.headers.get("x-tollgate-request-id");
    found.answer = (await whole.json()).choices[0].message.content;
    const streamed = await ask({ stream: true });
    const reader = streamed.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (let part; !(part = await reader.read()).done; ) text += part.value;
    found.ends = text.trimEnd().endsWith("data: [DONE]");
    const refused = await ask({ model: "nothing" });
    found.refused = [refused.status, (await refused.json()).error.code];
  } catch (error) {
    found.error = String(error);
  }
  await fetch("/found", { method: "POST", body: JSON.stringify(found) });
})();
</script>"""


class Pages(http.server.ThreadingHTTPServer):
    """Serves one page, on an origin of its own."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), PageHandler)
        self.origin = f"http://127.0.0.1:{self.server_address[1]}"
        self.page = ""
        self.found = queue.Queue()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class PageHandler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.found.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.answer(b"")

    def do_GET(self):
        self.answer(self.server.page.encode())

    def answer(self, body):
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def pages():
    """Two origins; only the first may call."""
    servers = [Pages(), Pages()]
    yield servers
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def secure(mock, pages):
    with tempfile.TemporaryDirectory(prefix="tollgate-browser-") as folder:
        issued = trustme.CA().issue_cert("127.0.0.1")
        files = {"certificate": Path(folder) / "chain.pem", "key": Path(folder) / "key.pem"}
        files["certificate"].write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(files["key"])
        server = (
            f"server: {{ tls: {{ certificate: {files['certificate']}, key: {files['key']} }}, "
            f'cors_origins: ["{pages[0].origin}"],'
        )
        config = CONFIG.format(mock=mock.url).replace("server: {", server, 1)
        tollgate = Tollgate(config, TOLLGATE_LOG="debug")
        try:
            yield tollgate
            assert tollgate.audit() == []
        finally:
            tollgate.stop()


def browse(server, page):
    """What the page tells once its script is through."""
    browser = shutil.which("chromium")
    assert browser, "chromium is missing: scripts/test installs it"
    server.page = page
    with tempfile.TemporaryDirectory(prefix="tollgate-chromium-", ignore_cleanup_errors=True) as profile:
        running = subprocess.Popen(
            [
                browser,
                *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
                *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
                f"--user-data-dir={profile}",
                # The certificate is vouched for by an authority of the test's own.
                "--ignore-certificate-errors",
                f"{server.origin}/page",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            return server.found.get(timeout=PATIENCE)
        finally:
            running.terminate()
            running.wait(PATIENCE)


def page(secure, secret, call_id):
    told = {f"x-mock-{name}": str(value) for name, value in COUNTS.items()}
    told["x-mock-id"] = call_id
    fields = {"url": secure.base_url, "key": secret, "told": told}
    return PAGE % {name: json.dumps(value) for name, value in fields.items()}


def test_a_page_that_may_call_reads_answers_streams_receipts_and_refusals(secure, pages, call_id):
    customer = secure.customer()
    found = browse(pages[0], page(secure, customer.secret, call_id))
    price = plain(cost(USAGE, PRICES["mock/chat"]))
    assert "error" not in found, found
    assert (found["status"], found["cost"]) == (200, price)
    assert found["answer"] and found["ends"]
    assert found["refused"] == [404, "model_not_found"]
    receipts = customer.receipts()
    assert found["request"] in [receipt["request_id"] for receipt in receipts]
    assert [receipt["cost"] for receipt in receipts] == [price, price]
    assert "h2::" in secure.program.errors(), "it spoke HTTP/2"


def test_a_page_that_may_not_call_learns_and_costs_nothing(secure, pages, mock, call_id):
    customer = secure.customer()
    found = browse(pages[1], page(secure, customer.secret, call_id))
    assert set(found) == {"error"} and "Failed to fetch" in found["error"], found
    assert (customer.receipts(), mock.requests(call_id)) == ([], [])
