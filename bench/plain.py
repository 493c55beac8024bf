"""What forwards and counts nothing: no proxy at all, nginx, and bare hyper."""

import os
import shutil
import subprocess
import time

from processes import HERE, START_SECONDS, Failed, Process, call, free_port


class Forwarder:
    """What forwards to the mock and keeps no balance."""

    store = None
    key = None
    headers = {}

    def url(self, _streams):
        return self.base

    def verify(self, _seen):
        return "every answer complete"

    def stop(self):
        self.process.stop()


class Direct(Forwarder):
    """No proxy at all."""

    name = "direct"
    process = None

    def __init__(self, mock):
        self.mock = mock

    def url(self, _streams):
        return f"http://{self.mock.address}"

    def stop(self):
        pass


class Nginx(Forwarder):
    """nginx, which forwards and counts nothing."""

    name = "nginx"

    def __init__(self, mock, folder, connections=4096):
        self.binary = find_nginx()
        self.ports = [free_port(), free_port()]
        home = folder / "nginx"
        home.mkdir()
        # Its workers drop root and must still get in.
        home.chmod(0o755)
        text = (HERE / "nginx.conf").read_text()
        words = {"UPSTREAM": mock.address, "PORT": self.ports[0], "STREAM_PORT": self.ports[1], "CONNECTIONS": connections}
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


class Bare(Forwarder):
    """The libraries that Tollgate is made of, and nothing else."""

    name = "bare hyper"

    def __init__(self, binaries, mock, folder):
        command = [binaries / "bare-proxy", "--upstream", mock.address]
        self.process = Process(self.name, command, folder)
        self.base = "http://" + self.process.wait_for(r"listening on (\S+)")


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
