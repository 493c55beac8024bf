"""redis-servers to keep a ledger in: one, or the masters of a cluster."""

import subprocess
import time

from processes import START_SECONDS, Failed, Group, Process, free_port

SLOTS = 16_384
# A node's second port lies this far above its first.
BUS = 10_000


class Redis(Process):
    """A store: everything is kept, and written to disk every second."""

    def __init__(self, folder, name="redis", more=()):
        home = folder / name
        home.mkdir()
        self.port = free_port()
        while self.port + BUS >= 1 << 16:
            self.port = free_port()
        keep = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
        place = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(home)]
        try:
            super().__init__(name, ["redis-server", *place, *keep, *more], folder)
        except FileNotFoundError:
            raise Failed("redis-server is missing: install it, or leave out what needs it") from None
        self.wait_for("(Ready to accept connections)")

    def place(self):
        """Where it is, as a config says it."""
        return {"url": f"redis://127.0.0.1:{self.port}"}

    def ask(self, *command):
        done = subprocess.run(
            ["redis-cli", "-p", str(self.port), *map(str, command)], stdout=subprocess.PIPE, check=True
        )
        said = done.stdout.decode().strip()
        if said.startswith(("ERR", "(error)")):
            raise Failed(f"{self.name}: {' '.join(map(str, command))}: {said}")
        return said


class Cluster(Group):
    """So many masters, which share the slots evenly, and no replicas."""

    def __init__(self, masters, folder):
        super().__init__([])
        more = ["--cluster-enabled", "yes"]
        try:
            for number in range(masters):
                self.members.append(Redis(folder, f"cluster-{masters}-{number}", more))
            self.join()
        except BaseException:
            self.stop()
            raise

    def join(self):
        count = len(self.members)
        for number, master in enumerate(self.members):
            self.members[0].ask("CLUSTER", "MEET", "127.0.0.1", master.port)
            bounds = SLOTS * number // count, SLOTS * (number + 1) // count - 1
            master.ask("CLUSTER", "ADDSLOTSRANGE", *bounds)
        deadline = time.monotonic() + START_SECONDS
        while not all(self.is_well(master) for master in self.members):
            if time.monotonic() > deadline:
                raise Failed(f"the cluster of {count} does not come up")
            time.sleep(0.1)

    def is_well(self, master):
        said = master.ask("CLUSTER", "INFO")
        return all(f"{word}\r\n" in f"{said}\r\n" for word in (
            "cluster_state:ok", f"cluster_slots_ok:{SLOTS}", f"cluster_known_nodes:{len(self.members)}",
        ))

    def place(self):
        return {"nodes": [f"127.0.0.1:{master.port}" for master in self.members]}
