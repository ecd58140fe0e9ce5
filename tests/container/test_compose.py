"""compose.yaml and the files it mounts: checked by the programs that read them, without an engine."""

import json
import os
import re
import shutil
import subprocess
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.image import ROOT
from wr.server.settings import load_settings

FILE = ROOT / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SERVERS = ("wr-1", "wr-2")


def mounts() -> list[tuple[str, Path, str]]:
    """Each file of ours that a service gets: service, file, where the service finds it."""
    return [
        (name, ROOT / parts[0], parts[1])
        for name, service in SERVICES.items()
        for parts in (volume.split(":") for volume in service.get("volumes", ()))
        if parts[0].startswith(".")
    ]


def mounted(service: str, target: str) -> Path:
    (file,) = [file for name, file, where in mounts() if (name, where) == (service, target)]
    if not file.exists():
        pytest.skip(f"{file.relative_to(ROOT)} comes with the gate")
    return file


def program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None and os.environ.get("CI"):
        pytest.fail(f"{name} is not installed: apt-get install {package}")
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install {package}")
    return found


def run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_what_compose_reads() -> None:
    check = Path(sys.executable).with_name("check-jsonschema")
    run(check, "--builtin-schema", "vendor.compose-spec", FILE)


def test_each_image_is_of_a_version_that_is_named_and_the_store_s_is_the_dockerfile_s() -> None:
    for name, service in SERVICES.items():
        assert name in SERVERS or re.search(r":v?\d+\.\d+", service["image"]), name
    (version,) = re.findall(r"^ARG DRAGONFLY=(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert SERVICES["dragonfly"]["image"].endswith(f"/dragonfly:{version}")


def test_every_file_it_mounts_is_there_to_be_read_only() -> None:
    assert len(mounts()) >= 6
    for service in SERVICES.values():
        assert all(v.endswith(":ro") for v in service.get("volumes", ()) if v.startswith("."))
    for name, file, where in mounts():
        if name != "nginx":
            assert mounted(name, where) == file


@pytest.mark.parametrize("name", SERVERS)
def test_the_servers_share_the_store_and_believe_the_proxy_alone(name: str) -> None:
    settings = load_settings(
        {}, {key: str(value) for key, value in SERVICES[name]["environment"].items() if "$" not in str(value)}
    )
    assert settings.store_url == "redis://dragonfly:6379"
    proxy = ip_address(SERVICES["nginx"]["networks"]["default"]["ipv4_address"])
    assert [proxy in network and network.num_addresses == 1 for network in settings.trusted_proxies] == [True]
    (pool,) = COMPOSE["networks"]["default"]["ipam"]["config"]
    assert proxy in ip_network(pool["subnet"])
    assert proxy not in ip_network(pool["ip_range"]), "no other container is ever given the trusted address"
    assert any(
        ip_network(pool["subnet"]).subnet_of(network)
        for network in settings.metrics_from
        if network.version == 4
    )


def test_nothing_for_operators_is_open_to_other_machines() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports.pop("nginx") == ["8000:8000"]
    assert all(port.startswith("127.0.0.1:") for each in ports.values() for port in each)


def test_no_secret_stands_in_it_and_without_them_it_does_not_start() -> None:
    secrets = re.findall(r"(\w*(?:KEY|PASSWORD|TOKEN)): (.*)", FILE.read_text())
    for key in ("WR_ADMIN_KEY", "WR_ORIGIN_KEY"):
        values = {value for name, value in secrets if name == key}
        assert values == {f"${{{key}:?put one into .env}}"}
    assert {name for name, _ in secrets} == {"WR_ADMIN_KEY", "WR_ORIGIN_KEY"}


def test_prometheus_takes_its_configuration_and_asks_every_server(tmp_path: Path) -> None:
    folder = "/etc/prometheus"
    for file in ("prometheus.yml", "prometheus-alerts.yml"):
        shutil.copy(mounted("prometheus", f"{folder}/{file}"), tmp_path / file)
    told = yaml.safe_load((tmp_path / "prometheus.yml").read_text())
    assert told["rule_files"] == ["prometheus-alerts.yml"]
    (job,) = told["scrape_configs"]
    assert job["static_configs"][0]["targets"] == [f"{name}:8080" for name in SERVERS]
    run(program("promtool", "prometheus"), "check", "config", tmp_path / "prometheus.yml")


def test_grafana_finds_its_data_and_the_dashboard() -> None:
    provisioning = "/etc/grafana/provisioning"
    (source,) = yaml.safe_load(mounted("grafana", f"{provisioning}/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    assert (source["type"], source["url"], source["isDefault"]) == (
        "prometheus",
        "http://prometheus:9090",
        True,
    )
    (provider,) = yaml.safe_load(mounted("grafana", f"{provisioning}/dashboards/wr.yml").read_text())[
        "providers"
    ]
    dashboard = mounted("grafana", f"{provider['options']['path']}/wr.json")
    assert json.loads(dashboard.read_text())["title"]


def nginx_configuration(made: Path, key: str) -> subprocess.CompletedProcess[str]:
    """Do what the service does before it becomes nginx."""
    example = mounted("nginx", "/waiting-room.conf")
    script = SERVICES["nginx"]["command"][2].replace("$$", "$").partition("&& exec")[0]
    script = script.replace("/waiting-room.conf", str(example)).replace(
        "/etc/nginx/conf.d/default.conf", str(made)
    )
    environment = {"PATH": os.defpath, "WR_ORIGIN_KEY": key}
    return subprocess.run(
        ["sh", "-c", script], check=False, env=environment, capture_output=True, text=True, timeout=10
    )


def test_nginx_takes_the_gate_s_configuration_with_the_names_of_the_services(tmp_path: Path) -> None:
    made = tmp_path / "default.conf"
    assert nginx_configuration(made, "aB3-._~+/=").returncode == 0
    text = made.read_text()
    upstreams = text.replace("# Belongs", "").partition("upstream")[2]
    assert "127.0.0.1" not in upstreams
    assert "ORIGIN_KEY" not in upstreams
    assert "X-WR-Origin-Key aB3-._~+/=;" in text
    # Here nobody knows the services by name, and Debian's nginx looks no name up again: 1.27.3 and newer do.
    for name, port in ((SERVERS[0], 8080), (SERVERS[1], 8080), ("site", 80)):
        assert f"server {name}:{port} resolve;" in text, "a container that is replaced has another address"
        text = text.replace(f"server {name}:{port} resolve;", f"server 127.0.0.1:{port};")
    made.write_text(text)
    whole = tmp_path / "nginx.conf"
    whole.write_text(
        f"pid {tmp_path}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{ access_log off; include {made}; }}\n"
    )
    run(program("nginx", "nginx"), "-t", "-c", whole)


@pytest.mark.parametrize("key", ["a&b", "a|b", "a\\b", "a;b", "a b"])
def test_a_key_that_would_end_up_as_another_one_is_refused(tmp_path: Path, key: str) -> None:
    done = nginx_configuration(tmp_path / "default.conf", key)
    assert (done.returncode, "WR_ORIGIN_KEY may have" in done.stderr) == (1, True)
    assert not (tmp_path / "default.conf").exists()


def test_its_nginx_is_one_that_looks_names_up_again() -> None:
    (version,) = re.findall(r"nginx:(\d+)\.(\d+)", SERVICES["nginx"]["image"])
    assert tuple(map(int, version)) >= (1, 28)


def test_without_a_public_address_visitors_stay_where_they_came_in() -> None:
    assert SERVICES["wr-1"]["environment"]["WR_PUBLIC_URL"] == "${WR_PUBLIC_URL:-}"
    assert load_settings({}, {"WR_PUBLIC_URL": ""}).public_url == ""


def test_the_secrets_are_their_owner_s_alone_and_are_not_committed(tmp_path: Path) -> None:
    (command,) = re.findall(r"^#   (\(umask.*)$", FILE.read_text(), re.MULTILINE)
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    made = tmp_path / ".env"
    assert made.stat().st_mode & 0o077 == 0
    names = [line.partition("=")[0] for line in made.read_text().splitlines()]
    assert names == ["WR_ADMIN_KEY", "WR_ORIGIN_KEY"]
    assert "/.env" in (ROOT / ".gitignore").read_text().splitlines()
