"""Dockerfile, compose files and unit: sound by their own tools, and in step with the config and with each other."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import compose_spec
import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
UNIT = (ROOT / "deploy/tollgate.service").read_text()
COMPOSE = (ROOT / "deploy/compose.yaml").read_text()
COMPOSE_REDIS = (ROOT / "deploy/compose.redis.yaml").read_text()
CONFIG = (ROOT / "config.yaml").read_text()
README = (ROOT / "README.md").read_text()
MANIFEST = (ROOT / "Cargo.toml").read_text()

# The config's own default, which its comment shows.
DRAIN_SECONDS = int(re.search(r"# drain_seconds: (\d+)", CONFIG)[1])
# What `serve` refuses to start without: `${NAME}` outside of comments.
NEEDED = set(re.findall(r"\$\{([A-Z_]+)\}", re.sub(r"(?m)#.*$", "", CONFIG)))


def run(*command):
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return ran.returncode, (ran.stdout + ran.stderr).strip()


def settings(name):
    """Every value of a unit's setting."""
    return re.findall(rf"(?m)^{name}=(.*)$", UNIT)


def setting(name):
    [value] = settings(name)
    return value


@pytest.fixture(scope="module", params=["compose.yaml", "compose.redis.yaml"])
def compose(request):
    """A compose file as an engine reads it, in an environment that sets nothing."""
    text = (ROOT / "deploy" / request.param).read_text()
    text = re.sub(r"(?<!\$)\$\{\w+:-([^}]*)\}", r"\1", text)
    file = compose_spec.PyOptions(apply_merge=True).from_yaml(text.replace("$$", "$"))
    file.validate()
    return file.to_dict()


def proxies(compose):
    return {name: it for name, it in compose["services"].items() if name.startswith("tollgate")}


def stores(compose):
    return {name: it for name, it in compose["services"].items() if name == "redis"}


def test_the_linter_finds_nothing_in_the_dockerfile():
    hadolint = Path(sys.executable).with_name("hadolint")
    assert run(str(hadolint), "--no-color", str(ROOT / "Dockerfile")) == (0, "")


def test_the_image_is_built_by_a_toolchain_that_is_new_enough():
    number = lambda version: tuple(map(int, version.split(".")))
    [image] = re.findall(r"(?m)^ARG RUST_IMAGE=rust:(\d+\.\d+\.\d+)-", DOCKERFILE)
    [least] = re.findall(r'(?m)^rust-version = "([\d.]+)"', MANIFEST)
    assert number(image) >= number(least)


def test_the_image_tells_the_version_that_is_in_it():
    [version] = re.findall(r'(?m)^version = "([\d.]+)"', MANIFEST)
    assert f"\nARG VERSION={version}\n" in DOCKERFILE


def test_what_the_dockerfile_copies_is_let_in_and_nothing_else():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    copied = set()
    for words in re.findall(r"(?m)^COPY (?!--from)(.*) \S+$", DOCKERFILE):
        copied.update("LICENSE-*" if word.startswith("LICENSE-") else word for word in words.split())
    assert copied == let_in


def test_the_image_runs_as_a_user_without_rights():
    last = DOCKERFILE.rsplit("\nFROM ", 1)[1]
    [user] = re.findall(r"(?m)^USER (\d+):\d+$", last)
    assert int(user) > 1000
    assert "RUN" not in re.findall(r"(?m)^[A-Z]+", last), "the base may have no shell"


def test_the_health_check_asks_where_the_image_listens():
    variables = dict(re.findall(r"\b(TOLLGATE_\w+)=(\S+)", DOCKERFILE.rsplit("\nFROM ", 1)[1]))
    port = variables["TOLLGATE_LISTEN"].rsplit(":", 1)[1]
    assert variables["TOLLGATE_HEALTH_URL"] == f"http://127.0.0.1:{port}"
    assert f"EXPOSE {port}" in DOCKERFILE
    assert 'CMD ["tollgate", "health"]' in DOCKERFILE and "test: [CMD, tollgate, health]" in COMPOSE
    assert "test: [CMD, tollgate, health]" in COMPOSE_REDIS


def test_the_ledger_of_the_shipped_config_lies_in_the_volume():
    [path] = re.findall(r"(?m)^ledger: .*\bpath: ([^,\s]+)", CONFIG)
    last = DOCKERFILE.rsplit("\nFROM ", 1)[1]
    [folder] = re.findall(r"(?m)^WORKDIR (\S+)$", last)
    [volume] = re.findall(r"(?m)^VOLUME (\S+)$", last)
    assert Path(folder, path).parent == Path(volume)
    assert Path(setting("WorkingDirectory")) == Path("/var/lib", setting("StateDirectory"))


def test_the_compose_files_have_what_they_promise(compose):
    assert {*proxies(compose), *stores(compose)} == compose["services"].keys()
    assert len(proxies(compose)) == (2 if stores(compose) else 1)


def test_compose_reaches_from_this_machine_only(compose):
    every = []
    for service in proxies(compose).values():
        assert len(service["ports"]) == 2
        every += [str(port) for port in service["ports"]]
    assert all(port.startswith("127.0.0.1:") for port in every)
    assert len({port.split(":")[1] for port in every}) == len(every), "no port is taken twice"
    assert all("ports" not in service for service in stores(compose).values())


def test_no_two_proxies_share_their_files(compose):
    volumes = [str(volume) for it in proxies(compose).values() for volume in it["volumes"] if ":/data" in str(volume)]
    assert len(volumes) == len(proxies(compose)) == len(set(volumes))


def test_every_service_gives_up_what_it_does_not_need(compose):
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "healthcheck" in service, name


def test_redis_may_neither_forget_nor_evict(compose):
    commands = [service["command"][-1] for service in stores(compose).values()]
    for line in ["appendonly yes", "maxmemory-policy noeviction", "requirepass $(cat /run/secrets/redis_password)"]:
        assert all(line in command for command in commands)


def test_every_secret_that_the_shipped_config_needs_is_a_file(compose):
    needed = NEEDED | {"TOLLGATE_ADMIN_TOKEN"}
    assert len(needed) >= 3
    units = dict(line.split("=", 1) for line in settings("Environment"))
    credentials = {line.split(":")[0] for line in settings("LoadCredential")}
    for variable in needed:
        for service in proxies(compose).values():
            folder, name = os.path.split(service["environment"][variable])
            assert folder == "file:/run/secrets" and name in service["secrets"], variable
        folder, name = os.path.split(units[variable])
        assert folder == "file:%d" and name in credentials, variable


def test_an_orderly_end_gets_the_time_that_it_may_take(compose):
    def seconds(file, name):
        text = (ROOT / "src" / file).read_text()
        return int(re.search(rf"const {name}: Duration = Duration::from_secs\((\d+)\);", text)[1])

    after = seconds("gateway/server.rs", "LAST_ANSWERS") + seconds("gateway/server.rs", "LAST_HOLDS")
    after += seconds("admin/server.rs", "DRAIN_TIME_MAX") + seconds("cli/serve.rs", "LAST_WORK")
    # Traces, then the log.
    after += 2 * seconds("telemetry.rs", "LAST_LINES")
    assert int(setting("TimeoutStopSec")) > DRAIN_SECONDS + after
    [by_hand] = {int(text) for text in re.findall(r"--stop-timeout (\d+)", DOCKERFILE + README)}
    assert by_hand > DRAIN_SECONDS + after
    grace = {name: compose_spec.parse_duration(it["stop_grace_period"]) for name, it in compose["services"].items()}
    assert all(grace[name] > DRAIN_SECONDS + after for name in proxies(compose))
    assert all(grace[name] > DRAIN_SECONDS for name in stores(compose))


def verified(tmp_path, unit):
    """What systemd says of a unit whose program is there."""
    program = shutil.which("true")
    path = tmp_path / "tollgate.service"
    path.write_text(unit.replace("/usr/local/bin/tollgate", program))
    return run("systemd-analyze", "verify", str(path))


def test_the_unit_is_valid(tmp_path):
    assert verified(tmp_path, UNIT) == (0, "")
    code, said = verified(tmp_path, UNIT.replace("TimeoutStopSec", "TimeoutStopSecs"))
    assert "TimeoutStopSecs" in said, "systemd-analyze would say so"


def test_the_unit_leaves_the_service_little(tmp_path):
    path = tmp_path / "tollgate.service"
    path.write_text(UNIT)
    code, said = run("systemd-analyze", "security", "--offline=yes", "--threshold=20", str(path))
    assert code == 0, said
    assert "Overall exposure level" in said


def test_a_wrong_config_does_not_start_again_and_again():
    assert setting("Restart") == "on-failure"
    assert setting("RestartPreventExitStatus").split() == ["78", "2"]
    assert "Config = 78," in (ROOT / "src/cli/exit.rs").read_text()
    assert "-HUP $MAINPID" in setting("ExecReload")
