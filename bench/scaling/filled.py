"""A store with as many wallets and receipts as one wants: rows like those that Tollgate has written, in its own tables."""

import random
import shutil
import sqlite3
import time

DAYS = 30
# UUIDs of version 7: milliseconds, version, count, variant, chance.
VERSION, VARIANT = 7 << 76, 2 << 62
COUNTED = """
WITH RECURSIVE counted (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM counted WHERE n + 1 < :many)
"""


def fill(tollgate, path, wallets, receipts):
    """Ends Tollgate, copies its store, which must have a request, and adds so much. Answers the path."""
    tollgate.process.stop()
    shutil.copyfile(tollgate.path, path)
    store = sqlite3.connect(path, isolation_level=None)
    try:
        # It is rebuilt where this fails: nothing is worth a wait for the disk.
        store.execute("PRAGMA journal_mode = OFF")
        store.execute("PRAGMA synchronous = OFF")
        store.execute("PRAGMA cache_size = -262144")
        store.execute("BEGIN")
        add_wallets(store, wallets, receipts)
        if receipts:
            add_receipts(store, wallets, receipts)
        store.execute("COMMIT")
    finally:
        store.close()
    return path


def add_wallets(store, wallets, receipts):
    """Each with its opening, its key and the counters of its limits; its sums are those of its receipts."""
    spent = "(SELECT charged FROM receipts LIMIT 1) * (:receipts / :many + (n < :receipts % :many))"
    numbers = {"many": wallets, "receipts": receipts}
    copies(store, "wallets", numbers, {
        "id": "'wallet-' || n", "balance": f"kept.credited - {spent}", "charged": spent, "shortfall": "0",
    })
    # Ids of keys that were not declared in a config begin with `key_`.
    named = lambda record, names: f"json_set({record}, {', '.join(names)})"
    wallet = "'$.wallet', 'wallet-' || n"
    copies(store, "keys", numbers, {
        "id": "'key_' || n", "digest": "randomblob(32)",
        "record": named("record", ["'$.id', 'key_' || n", "'$.name', 'key_' || n", wallet]),
    })
    copies(store, "entries", numbers, {
        "id": "'opening-' || n", "wallet": "'wallet-' || n",
        "record": named("record", ["'$.id', 'opening-' || n", wallet]),
    })
    copies(store, "counters", numbers, {
        "wallet": "'wallet-' || n", "key": "'key_' || n || substr(kept.key, instr(kept.key, '/'))",
    }, each=True)


def add_receipts(store, wallets, receipts):
    """Evenly over the last days and over the wallets; their indexes are made when they are all there."""
    chance = random.Random(1)
    began = int(time.time() * 1000) - DAYS * 86_400_000
    pace = DAYS * 86_400_000 // receipts
    ids = lambda n: (((began + n * pace) << 80) | VERSION | (n & 0xFFF) << 64 | VARIANT | chance.getrandbits(62)).to_bytes(16, "big")
    store.create_function("request_id", 1, ids)
    indexes = store.execute("SELECT name, sql FROM sqlite_schema WHERE tbl_name = 'receipts' AND type = 'index' AND sql IS NOT NULL").fetchall()
    for name, _ in indexes:
        store.execute(f"DROP INDEX {name}")
    copies(store, "receipts", {"many": receipts, "wallets": wallets, "began": began, "pace": pace}, {
        "id": "request_id(n)", "wallet": "'wallet-' || (n % :wallets)", "key": "'key_' || (n % :wallets)",
        "held_at": ":began + n * :pace", "settled_at": ":began + n * :pace + 20",
    })
    for _, sql in indexes:
        store.execute(sql)


def copies(store, table, numbers, changes, each=False):
    """Copies a row (or each one) so many times, numbered, with these columns changed."""
    kept = f"SELECT * FROM {table}" if each else f"SELECT * FROM {table} LIMIT 1"
    columns = [column for _, column, *_ in store.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(changes.get(column, f"kept.{column}") for column in columns)
    store.execute(
        f"{COUNTED} INSERT INTO {table} ({', '.join(columns)}) SELECT {values}"
        f" FROM counted, ({kept}) AS kept", numbers,
    )
