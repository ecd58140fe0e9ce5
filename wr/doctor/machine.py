"""Checks of this machine: Python, the data folder, the address, the limit on open files, and secret files."""

import errno
import fcntl
import http.client
import os
import resource
import socket
import stat
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from wr.api.service.messages import HealthResponse
from wr.client.admin_client import ADMIN_KEY_FILE
from wr.doctor.finding import Finding, bad, good, unsure
from wr.doctor.health import MORE_MEMORY, trouble_of
from wr.server.setting_values import split_bind

OLDEST_PYTHON = (3, 11)
SHORTEST_ADMIN_KEY = 16
FILES_OF_OUR_OWN = 64
"""File descriptors that are not visitors' connections: the store's connections, the log, the listener."""
FILES_A_SERVER_KEEPS = 100
"""File descriptors that a server never uses for visitors."""
FEW_FILES = 256
ENOUGH_FILES = 10_000
_HEALTH_S = 3.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound to


def check_python(version: tuple[int, int, int]) -> Finding:
    """Check that wr supports this version of Python."""
    shown = ".".join(map(str, version))
    if version[:2] < OLDEST_PYTHON:
        needed = ".".join(map(str, OLDEST_PYTHON))
        return bad("python", f"Python {shown}", f"install Python {needed} or newer")
    return good("python", f"Python {shown}")


def check_data_dir(folder: Path) -> Finding:
    """Check that the data folder can be written or created, and that other users cannot read it."""
    subject = "data folder"
    if not folder.exists():
        above = next(parent for parent in folder.absolute().parents if parent.exists())
        if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
            return good(subject, f"{folder} does not exist yet and will be created")
        return bad(subject, f"{folder} cannot be created: {above} is not writable", "give another --data-dir")
    if not folder.is_dir():
        return bad(subject, f"{folder} is a file", "give another --data-dir")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return bad(subject, f"{folder} is not writable", "chown it to this user, or give another --data-dir")
    user = "used by a running server" if _is_locked(folder / "lock") else "not used by another server"
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        return unsure(
            subject,
            f"{folder} is writable, {user}, but other users can read the keys in it",
            f"chmod 700 {folder}",
        )
    return good(subject, f"{folder} is writable, {user}")


def _is_locked(lock: Path) -> bool:
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # Without this file, no server has used the folder yet.
    return False


def check_address(bind: str) -> Finding:
    """Check that the address is free, or that a server of wr listens on it already."""
    subject = "address"
    host, port = split_bind(bind)
    error = _try_to_bind(host, port)
    if error is None:
        return good(subject, f"{bind} is free")
    if error.errno != errno.EADDRINUSE:
        return bad(subject, f"{bind} cannot be used: {error.strerror or error}", "give another --bind")
    health = read_health(_ANYWHERE.get(host, host), port)
    if health is None:
        return bad(subject, f"{bind} is in use by another program", "stop it, or give another --bind")
    if health.status != "healthy":
        return unsure(subject, f"wr {health.version} runs at {bind} and is unhealthy", "read its log")
    trouble = trouble_of(health)
    if trouble:
        return unsure(subject, f"wr {health.version} runs at {bind}, but {trouble}", MORE_MEMORY)
    return good(subject, f"wr {health.version} runs at {bind} and is healthy")


def _try_to_bind(host: str, port: int) -> OSError | None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # Like the server, so that lingering connections of an earlier server do not count as in use.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error
    return None


def read_health(host: str, port: int) -> HealthResponse | None:
    """Ask a server for its health; None if there is no answer within 3 s, or not one of wr."""
    connection = http.client.HTTPConnection(host, port, timeout=_HEALTH_S)
    try:
        connection.request("GET", "/health")
        return msgspec.json.decode(connection.getresponse().read(), type=HealthResponse)
    except (OSError, http.client.HTTPException, msgspec.DecodeError):
        return None
    finally:
        connection.close()


def open_file_limit() -> int:
    """Return how many files and connections a process started here may open; -1 if unlimited."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return -1 if soft == resource.RLIM_INFINITY else soft


def check_open_files(limit: int) -> Finding:
    """Check that the limit on open files is high enough for a crowd: each connection of a visitor counts."""
    subject = "open files"
    if limit < 0:
        return good(subject, "no limit")
    found = f"{limit:,}, enough for about {max(0, limit - FILES_OF_OUR_OWN):,} connections"
    fix = "raise it: `ulimit -n 65536` before `wr serve`, or LimitNOFILE=65536 in its service"
    if limit < FEW_FILES:
        return bad(subject, found, fix)
    return good(subject, found) if limit >= ENOUGH_FILES else unsure(subject, found, fix)


def granted_files() -> int:
    """Return how many files and connections a server started here can open (hard limit); -1 if unlimited."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return -1 if hard == resource.RLIM_INFINITY else hard


def check_crowd(limit: int, crowd: int) -> Finding:
    """Check that `crowd` visitors can be connected at the same time if a server may open `limit` files."""
    subject = "open files"
    if limit < 0 or limit >= crowd + FILES_A_SERVER_KEEPS:
        granted = f"{limit:,}" if limit >= 0 else "no limit"
        return good(subject, f"{granted}, enough for {crowd:,} visitors at the same time")
    most = max(0, limit - FILES_A_SERVER_KEEPS)
    needed = crowd + FILES_A_SERVER_KEEPS
    return bad(
        subject,
        f"{limit:,}, enough for {most:,} of {crowd:,} visitors at the same time",
        f"LimitNOFILE={needed} in its service, `--ulimit nofile={needed}` for a container, or more servers",
    )


def check_admin_key(given: str, data_dir: Path) -> Finding:
    """Check that a set admin key is hard to guess, or that only the owner can read a generated one's file."""
    subject = "admin key"
    if given:
        if len(given) < SHORTEST_ADMIN_KEY:
            return unsure(
                subject,
                f"set, but with only {len(given)} characters it can be guessed",
                f"use {SHORTEST_ADMIN_KEY} or more, such as the output of `openssl rand -base64 24`",
            )
        return good(subject, "set")
    path = data_dir / ADMIN_KEY_FILE
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return good(subject, "not set: the first start generates one")
    if mode & 0o077:
        return bad(subject, f"generated; other users can read {path} (mode {mode:o})", f"chmod 600 {path}")
    return good(subject, f"generated; in {path}, which only its owner can read")


def check_session_key(file: str) -> Finding:
    """Check that the file contains a private key without a password, and that only its owner can read it."""
    subject = "session key"
    path = Path(file)
    try:
        load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        return bad(subject, f"{file} cannot be read: {error.strerror}", "give another --session-key-file")
    except (ValueError, TypeError):
        return bad(
            subject,
            f"{file} does not contain a PEM private key without a password",
            "give another --session-key-file",
        )
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return unsure(subject, f"other users can read {file}", f"chmod 600 {file}")
    return good(subject, f"{file} contains a private key")
