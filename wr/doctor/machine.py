"""Checks of this machine: Python, the data folder, the address, limits, files that hold secrets."""

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
"""Descriptors that are not visitors': the store's connections, the log, the listener."""
FILES_A_SERVER_KEEPS = 100
"""Those that it takes no visitors with, however many come."""
FEW_FILES = 256
ENOUGH_FILES = 10_000
_HEALTH_S = 3.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound to


def check_python(version: tuple[int, int, int]) -> Finding:
    """Check that this Python is one that wr is made for."""
    shown = ".".join(map(str, version))
    if version[:2] < OLDEST_PYTHON:
        needed = ".".join(map(str, OLDEST_PYTHON))
        return bad("python", f"Python {shown}", f"install Python {needed} or newer")
    return good("python", f"Python {shown}")


def check_data_dir(folder: Path) -> Finding:
    """Check that the data folder can be written or made, and that it is nobody else's to read."""
    subject = "data folder"
    if not folder.exists():
        above = next(parent for parent in folder.absolute().parents if parent.exists())
        if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
            return good(subject, f"{folder} is not there yet and will be made")
        return bad(subject, f"{folder} cannot be made: {above} is not writable", "give another --data-dir")
    if not folder.is_dir():
        return bad(subject, f"{folder} is a file", "give another --data-dir")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return bad(subject, f"{folder} is not writable", "chown it to this user, or give another --data-dir")
    user = "used by a running wr" if _is_locked(folder / "lock") else "used by no other wr"
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        return unsure(
            subject,
            f"{folder} is writable, {user}, and open to other users, who could read keys in it",
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
        return False  # There is no such file yet, so no wr has been here.
    return False


def check_address(bind: str) -> Finding:
    """Check that the address can be listened on, or that a wr does so already."""
    subject = "address"
    host, port = split_bind(bind)
    error = _try_to_bind(host, port)
    if error is None:
        return good(subject, f"{bind} is free")
    if error.errno != errno.EADDRINUSE:
        return bad(subject, f"{bind} cannot be used: {error.strerror or error}", "give another --bind")
    health = read_health(_ANYWHERE.get(host, host), port)
    if health is None:
        return bad(subject, f"{bind} is taken by another program", "stop that, or give another --bind")
    if health.status != "healthy":
        return unsure(subject, f"wr {health.version} serves at {bind} and is unhealthy", "see its log")
    trouble = trouble_of(health)
    if trouble:
        return unsure(subject, f"wr {health.version} serves at {bind}, but {trouble}", MORE_MEMORY)
    return good(subject, f"wr {health.version} serves at {bind} and is healthy")


def _try_to_bind(host: str, port: int) -> OSError | None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # As the server does, so that connections of an earlier one that linger are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error
    return None


def read_health(host: str, port: int) -> HealthResponse | None:
    """Ask a server how it is; None when what answers within 3 s, if anything does, is no wr."""
    connection = http.client.HTTPConnection(host, port, timeout=_HEALTH_S)
    try:
        connection.request("GET", "/health")
        return msgspec.json.decode(connection.getresponse().read(), type=HealthResponse)
    except (OSError, http.client.HTTPException, msgspec.DecodeError):
        return None
    finally:
        connection.close()


def open_file_limit() -> int:
    """Read how many files and connections a process started here may have open; -1 for any number."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return -1 if soft == resource.RLIM_INFINITY else soft


def check_open_files(limit: int) -> Finding:
    """Check that the limit of open files leaves room for a crowd: each connection of a visitor is one."""
    subject = "open files"
    if limit < 0:
        return good(subject, "no limit")
    found = f"{limit:,}, enough for about {max(0, limit - FILES_OF_OUR_OWN):,} connections at once"
    mend = "raise it: `ulimit -n 65536` before `wr serve`, or LimitNOFILE=65536 in its service"
    if limit < FEW_FILES:
        return bad(subject, found, mend)
    return good(subject, found) if limit >= ENOUGH_FILES else unsure(subject, found, mend)


def granted_files() -> int:
    """Read how many files and connections a server started here takes: all that it may; -1 for any number."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return -1 if hard == resource.RLIM_INFINITY else hard


def check_crowd(limit: int, crowd: int) -> Finding:
    """Check that `crowd` people can be connected at once where a server is granted `limit` open files."""
    subject = "open files"
    if limit < 0 or limit >= crowd + FILES_A_SERVER_KEEPS:
        granted = f"{limit:,}" if limit >= 0 else "as many as wanted"
        return good(subject, f"{granted}, enough for {crowd:,} people at once")
    most = max(0, limit - FILES_A_SERVER_KEEPS)
    needed = crowd + FILES_A_SERVER_KEEPS
    return bad(
        subject,
        f"{limit:,}, enough for {most:,} of {crowd:,} people at once",
        f"LimitNOFILE={needed} in its service, `--ulimit nofile={needed}` for a container, or more servers",
    )


def check_admin_key(given: str, data_dir: Path) -> Finding:
    """Check that the admin key is hard to guess, or that the file of a generated one is its owner's alone."""
    subject = "admin key"
    if given:
        if len(given) < SHORTEST_ADMIN_KEY:
            return unsure(
                subject,
                f"given, but of {len(given)} characters only, which can be guessed",
                f"make it {SHORTEST_ADMIN_KEY} or more, such as what `openssl rand -base64 24` prints",
            )
        return good(subject, "given")
    path = data_dir / ADMIN_KEY_FILE
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return good(subject, "none given: one is generated at the first start")
    if mode & 0o077:
        return bad(subject, f"generated; {path} is open to other users (mode {mode:o})", f"chmod 600 {path}")
    return good(subject, f"generated; in {path}, which only its owner can read")


def check_session_key(file: str) -> Finding:
    """Check that the file holds a private key that needs no password, for its owner alone."""
    subject = "session key"
    path = Path(file)
    try:
        load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        return bad(subject, f"{file} cannot be read: {error.strerror}", "give another --session-key-file")
    except (ValueError, TypeError):
        return bad(
            subject,
            f"{file} holds no private key in PEM without a password",
            "give another --session-key-file",
        )
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return unsure(subject, f"{file} is open to other users", f"chmod 600 {file}")
    return good(subject, f"{file} holds a private key")
