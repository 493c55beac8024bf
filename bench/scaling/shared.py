"""Ledgers in Redis: one proxy or three on one server, and one proxy on clusters of one, three and six masters."""

from processes import Failed
from runner import SMALL_CHAT, middle
from stores import Cluster, Redis
from tollgate import Fleet, new_keys

from .stage import Line, Stage

# Each of a wallet of its own, so that they spread over the partitions.
KEYS = 64
PROXIES = (1, 3)
MASTERS = (1, 3, 6)
ROUNDS, SECONDS = 3, 3
WARM_UP = 1_000
LOAD = ("chat", WARM_UP, SMALL_CHAT)
CORES_NOTE = "Proxies, redis-servers, mock and load generator share this machine's cores, which bends the curve of requests/s; capacity per core follows from CPU time"


def measure_proxies(binaries):
    with Stage(binaries) as stage:
        fleets = []
        for size in PROXIES:
            store = stage.add(Redis(stage.folder, f"redis-{size}"))
            fleets.append(fleet(stage, size, store))
        samples, notes = loaded(stage, fleets)
    lines = []
    for size, name in zip(PROXIES, samples):
        what = f"Redis, {size} {'proxy' if size == 1 else 'proxies'}"
        lines += common(what, samples[name])
        per_core = 1e6 / middle(samples[name], "redis_cpu_us")
        lines.append(Line(f"{what}: hold + settle a second that fill one core of Redis", tollgate=f"{per_core:.0f}"))
    return lines, notes


def measure_masters(binaries):
    with Stage(binaries) as stage:
        clusters, fleets = [], []
        for masters in MASTERS:
            clusters.append(stage.add(Cluster(masters, stage.folder)))
            fleets.append(fleet(stage, 1, clusters[-1], f"{masters} masters"))
        before = [each_cpu(cluster) for cluster in clusters]
        samples, notes = loaded(stage, fleets)
        spent = [[now - then for now, then in zip(each_cpu(cluster), old)] for cluster, old in zip(clusters, before)]
    lines = []
    for masters, name, seconds in zip(MASTERS, samples, spent):
        if min(seconds) <= 0:
            raise Failed(f"{name}: a master had nothing to do")
        what = f"cluster of {masters}"
        lines += common(what, samples[name])
        # The busiest master is full first.
        per_core = sum(seconds) / max(seconds) * 1e6 / middle(samples[name], "redis_cpu_us")
        lines.append(Line(f"{what}: hold + settle a second, had each master a core", tollgate=f"{per_core:.0f}"))
    return lines, notes


def fleet(stage, size, store, name=None):
    return stage.add(Fleet(size, stage.binaries, stage.mock, stage.folder, store, new_keys(KEYS), name))


def loaded(stage, fleets):
    for each in fleets:
        stage.runner.run(each, LOAD, ["--requests", str(WARM_UP)])
    samples = stage.runner.rounds(fleets, LOAD, ["--seconds", str(SECONDS)], ROUNDS)
    notes = stage.verified(fleets)
    return samples, [*notes, CORES_NOTE]


def common(what, samples):
    return [
        Line(f"{what}: requests/s, a hold and a settle each", tollgate=f"{middle(samples, 'per_second'):.0f}"),
        Line(f"{what}: CPU us/request of Redis, of the proxies", tollgate=f"{middle(samples, 'redis_cpu_us'):.0f}, {middle(samples, 'cpu_us'):.0f}"),
    ]


def each_cpu(cluster):
    return [master.cpu_seconds() for master in cluster.members]
