"""The metrics as Prometheus' own parser of OpenMetrics reads them: strict about types, units, suffixes and order."""

import json
import re
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse

from support import ROOT, http

BOARD = ROOT / "deploy" / "grafana" / "tollgate.json"
ALERTS = ROOT / "deploy" / "alerts.yml"
# Not on the page of a ledger that has no journal. The README's row is held to what there is by tests/observability.
[JOURNAL_ROW] = re.findall(r"(?m)^\| `tollgate_ledger_journal_waiting`.*$", (ROOT / "README.md").read_text())
OF_A_JOURNAL = set(re.findall(r"`(tollgate_\w+)`", JOURNAL_ROW))


def scrape(proxy):
    """The families by name."""
    with urllib.request.urlopen(f"{proxy.admin_url}/metrics") as response:
        assert response.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        return {family.name: family for family in parse(response.read().decode())}


def samples(family, name):
    return [sample for sample in family.samples if sample.name == name]


def ask(proxy, secret, **headers):
    body = {"model": "chat", "messages": [{"role": "user", "content": "Say something."}]}
    url = f"{proxy.base_url}/chat/completions"
    data = json.dumps({**body, "stream": bool(headers.pop("stream", False))}).encode()
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json", **headers}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, data, headers)) as response:
        return response.read()


def exercise(proxy):
    """A request of each kind, so that every family has samples."""
    customer = proxy.customer()
    ask(proxy, customer.secret)
    ask(proxy, customer.secret, stream=True)
    ask(proxy, customer.secret, stream=True, **{"x-mock-fault": "no-usage"})
    image = {"model": "mock/image", "prompt": "A gate."}
    assert http(f"{proxy.base_url}/images/generations", "POST", image, customer.secret)[0] == 200
    assert http(f"{proxy.base_url}/models", token="wrong")[0] == 401
    assert customer.settled()["holds"] == 0
    return customer


def test_the_parser_of_prometheus_reads_every_family(proxy):
    exercise(proxy)
    families = scrape(proxy)
    assert len(families) >= 30
    for name, family in families.items():
        assert name.startswith("tollgate_"), name
        assert family.documentation, name
        assert family.samples, f"{name} has no sample"
        assert family.type in ("counter", "gauge", "histogram", "info"), name
    times = [name for name, family in families.items() if family.type == "histogram"]
    assert times and all(name.endswith("_seconds") for name in times)


def test_counters_only_grow_and_agree_with_the_ledger(proxy):
    def cost(families):
        return sum(sample.value for sample in samples(families["tollgate_cost"], "tollgate_cost_total"))

    exercise(proxy)
    before = scrape(proxy)
    charged = float(exercise(proxy).wallet()["charged"])
    after = scrape(proxy)
    assert charged > 0
    assert abs(cost(after) - cost(before) - charged) < 1e-9
    for name, family in before.items():
        if family.type != "counter":
            continue
        now = {(sample.name, *sorted(sample.labels.items())): sample.value for sample in after[name].samples}
        for sample in family.samples:
            assert now[(sample.name, *sorted(sample.labels.items()))] >= sample.value, sample


def test_every_metric_of_board_and_alerts_exists(proxy):
    exercise(proxy)
    known = {sample.name for family in scrape(proxy).values() for sample in family.samples} | OF_A_JOURNAL
    board = json.loads(BOARD.read_text())
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len(panels) >= 10
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    expressions += [variable["query"]["query"] for variable in board["templating"]["list"] if variable["type"] == "query"]
    alerts = [line for line in ALERTS.read_text().splitlines() if line.strip().startswith("expr:")]
    assert len(alerts) >= 5
    for expression in expressions + alerts:
        names = re.findall(r"\btollgate_[a-z_]+", expression)
        assert names, f"no metric in {expression}"
        for name in names:
            assert name in known, f"{name} of {expression}"
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
