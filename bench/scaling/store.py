"""The embedded store when it is large, and what a request writes to disk."""

import subprocess
import time

from processes import Failed
from runner import SMALL_CHAT

from .filled import fill
from .stage import Line, Stage
from .start import first_answer_seconds

# The audit reads all of these, and less than all of the large store.
SAMPLE = (20_000, 200_000)
REQUESTS = 20_000
PATIENCE_SECONDS = 120
LOAD = ("chat", 0, [*SMALL_CHAT, "--concurrency", "32"])


def measure(binaries, wallets, receipts):
    lines = []
    with Stage(binaries) as stage:
        for durability in ("process", "disk"):
            lines += written(stage, durability)
    with Stage(binaries) as stage:
        tollgate = stage.tollgate()
        stage.runner.run(tollgate, LOAD, ["--requests", "200"])
        sample = fill(tollgate, stage.folder / "sample.db", *SAMPLE)
        audited(binaries, sample)
        sample.unlink()
        bare = fill(tollgate, stage.folder / "wallets.db", wallets, 0)
        without = bare.stat().st_size
        bare.unlink()
        began = time.monotonic()
        large = fill(tollgate, stage.folder / "large.db", wallets, receipts)
        built = time.monotonic() - began
        tollgate.keep_in(large)
        size = large.stat().st_size
        first = first_answer_seconds(tollgate, PATIENCE_SECONDS)
        mib = tollgate.process.resident_mib()
    what = f"store of {wallets:,} wallets, {receipts:,} receipts"
    lines += [
        Line(f"{what}: start to first answer, s", tollgate=f"{first:.2f}"),
        Line(f"{what}: RSS MiB then; bytes a wallet", tollgate=f"{mib:.0f}; {mib * 2**20 / wallets:.0f}"),
        Line(f"{what}: GB on disk", tollgate=f"{size / 1e9:.2f}"),
        Line("bytes on disk a receipt, its indexes included", tollgate=f"{(size - without) / max(receipts, 1):.0f}"),
        Line("bytes on disk a wallet (opening, key, 3 counters)", tollgate=f"{without / wallets:.0f}"),
    ]
    notes = [
        f"The large store was built in {built:.0f} s of rows like those that Tollgate wrote, and is in the page cache when it is opened; "
        f"one of {SAMPLE[0]:,} wallets and {SAMPLE[1]:,} receipts, built alike, passes `tollgate audit`",
        "Durable charges a second at 1, 64 and 512 at once: `cargo bench --bench ledger -- --store embedded`",
    ]
    return lines, notes


def written(stage, durability):
    """Bytes to disk for each request: of the ledger (all that the process has had written, less its log), and of the log."""
    tollgate = stage.tollgate(durability)
    state = lambda: (tollgate.process.written_bytes(), tollgate.process.log.stat().st_size)
    before = state()
    stage.runner.run(tollgate, LOAD, ["--requests", str(REQUESTS)])
    all_bytes, log = (now - then for now, then in zip(state(), before))
    stage.runner.verify([tollgate])
    shown = f"{(all_bytes - log) / REQUESTS:.0f}; {log / REQUESTS:.0f}"
    return [Line(f"durability {durability}, 32 at once: bytes written a request, ledger; log", tollgate=shown)]


def audited(binaries, path):
    done = subprocess.run([binaries / "tollgate", "audit", "--store", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise Failed(f"the built store is not sound: {done.stdout.decode(errors='replace')[:1000]}")
