"""Where a part is measured, and the lines that it puts into the table."""

import tempfile
from pathlib import Path
from typing import NamedTuple, Optional

from plain import Bare, Nginx
from processes import Mock, stop_all
from report import noise
from runner import Runner
from tollgate import Tollgate


class Line(NamedTuple):
    """One line; `met` says whether Tollgate reaches its goal, where it has one."""

    what: str
    direct: str = ""
    nginx: str = ""
    bare: str = ""
    tollgate: str = ""
    goal: str = ""
    met: Optional[bool] = None


class Stage:
    """A mock and what stands in front of it, in a folder of their own. When it is left, all are ended and gone."""

    def __init__(self, binaries):
        self.binaries = binaries
        self.stoppable = []

    def __enter__(self):
        self.home = tempfile.TemporaryDirectory(prefix="bench-scale-", dir=self.binaries.parent)
        self.folder = Path(self.home.name)
        # nginx's workers drop root and must get through.
        self.folder.chmod(0o755)
        try:
            self.mock = self.add(Mock(self.binaries, self.folder))
            self.runner = Runner(self.binaries, self.mock)
        except BaseException:
            self.home.cleanup()
            raise
        return self

    def add(self, process):
        """Will stop it at the end."""
        self.stoppable.insert(0, process)
        return process

    def nginx(self, connections=4096):
        return self.add(Nginx(self.mock, self.folder, connections))

    def bare(self):
        return self.add(Bare(self.binaries, self.mock, self.folder))

    def tollgate(self, ledger="process", **more):
        return self.add(Tollgate(ledger, self.binaries, self.mock, self.folder, **more))

    def verified(self, rows):
        """What the account of each row was compared with, and what else the machine did. Fails where one differs."""
        notes = [f"{name}: {verdict}" for name, verdict in self.runner.verify(rows)]
        return [*notes, *noise(self.runner.others_cores)]

    def __exit__(self, *_):
        try:
            stop_all(self.stoppable)
        finally:
            self.home.cleanup()
