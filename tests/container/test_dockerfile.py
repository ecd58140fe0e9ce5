"""The Dockerfile: held to the rules, and to what a deployer relies on."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.support.image import ROOT, stages
from wr.server.settings import load_settings

DOCKERFILE = ROOT / "Dockerfile"
FINAL = stages(DOCKERFILE)[-1]


def only(name: str) -> str:
    (found,) = [step.value for step in FINAL if step.name == name]
    return found


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


def test_every_image_it_builds_on_is_of_a_version_that_is_named() -> None:
    versions = dict(re.findall(r"^ARG (\w+)=v?(\d+\.\d+.*)$", DOCKERFILE.read_text(), re.MULTILINE))
    for stage in stages(DOCKERFILE):
        image = stage[0].value.split()[0]
        (version,) = re.findall(r":v?\$\{(\w+)\}", image)
        assert version in versions, image


def test_it_runs_as_a_number_that_is_not_root() -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", only("USER"))


def test_signals_reach_the_server_itself_for_no_shell_stands_between() -> None:
    assert only("ENTRYPOINT") == '["wr"]'
    assert only("CMD") == '["serve"]'
    assert only("STOPSIGNAL") == "SIGTERM"
    assert only("HEALTHCHECK").endswith('CMD ["wr", "health"]')


def test_its_environment_is_settings_that_the_server_has_and_leaves_time_to_stop() -> None:
    words = next(step for step in FINAL if step.name == "ENV").words()
    environment = dict(word.split("=", 1) for word in words)
    settings = load_settings({}, environment)
    assert (settings.bind, str(settings.data_dir)) == ("0.0.0.0:8080", only("VOLUME"))
    assert settings.grace < 10
    named = {name for name in environment if name.startswith("WR_")}
    assert named == {"WR_BIND", "WR_DATA_DIR", "WR_GRACE"}


def pins(lock: str) -> set[str]:
    return set(re.findall(r"^([\w.-]+==\S+)", (ROOT / lock).read_text(), re.MULTILINE))


def test_what_it_installs_is_the_server_s_lock_and_what_traces_need() -> None:
    assert pins("requirements.lock") < pins("scripts/image/requirements.lock"), "./scripts/lock"
    more = {
        pin.partition("==")[0] for pin in pins("scripts/image/requirements.lock") - pins("requirements.lock")
    }
    assert "opentelemetry-exporter-otlp-proto-http" in more
    assert pins("scripts/image/requirements.lock") < pins("scripts/binary/requirements.lock")


def test_nothing_is_fetched_without_a_hash() -> None:
    build = next(stage for stage in stages(DOCKERFILE) if any("pip install" in step.value for step in stage))
    commands = [
        command
        for step in build
        if step.name == "RUN"
        for command in re.split(r"&&", step.value)
        if re.search(r"pip (install|wheel)", command)
    ]
    assert len(commands) == 4
    for command in commands:
        is_offline = "--no-index" in command or {"--no-build-isolation", "--no-deps"} <= set(command.split())
        assert "--require-hashes" in command or is_offline, command


def test_the_wheel_is_built_with_what_its_own_settings_say() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    written = (ROOT / "scripts/wheel.in").read_text().splitlines()
    assert [line for line in written if not line.startswith("#")] == asked
