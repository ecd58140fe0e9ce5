"""A server that cannot start says why in one line, soon, and with an exit code that is not 0."""

import fcntl
import os
import re
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support import odd_stores
from tests.support.engines import free_port
from tests.support.processes import eventually, serve_command, starting_server
from wr.cli.main import main

NOT_FOR_EVER_S = 60

AT_ONCE = {"store_patience": "0"}
"""What ends by itself, as a rule, is waited for unless the operator says so; all else fails at once."""

FAILURES: dict[str, tuple[dict[str, str], str]] = {
    "port taken": ({"bind": "127.0.0.1:{taken}"}, "127.0.0.1:{taken}.*in use"),
    "no such address": ({"bind": "192.0.2.1:0"}, "cannot listen on 192.0.2.1:0"),
    "bind without port": ({"bind": "localhost"}, "bind.*localhost"),
    "bad setting": ({"grace": "-1"}, "--grace.*-1"),
    "bad choice": ({"store_fsync": "sometimes"}, "--store-fsync.*sometimes"),
    "store unreachable": (
        {"store_url": "redis://127.0.0.1:1", **AT_ONCE},
        "store does not answer.*127.0.0.1:1",
    ),
    "store URL of another kind": ({"store_url": "postgres://localhost"}, "store_url.*redis://"),
    "store URL without sense": ({"store_url": "redis://localhost:port"}, "store_url"),
    "store URL with an odd option": ({"store_url": "redis://127.0.0.1:1?colour=red"}, "store_url.*colour"),
    "no store on that socket": ({"store_url": "unix://{folder}/none", **AT_ONCE}, "store does not answer"),
    "store that is a web server": ({"store_url": "{speaks_http}"}, "store does not answer"),
    "store with a password": ({"store_url": "{wants_a_password}"}, "store does not answer.*uthentic"),
    "store that says nothing": (
        {"store_url": "{says_nothing}", **AT_ONCE},
        "store does not answer.*[Tt]imeout",
    ),
    "store that hangs up": ({"store_url": "{hangs_up}", **AT_ONCE}, "store does not answer"),
    "store that goes away during the start": (
        {"store_url": "{goes_away}", **AT_ONCE},
        "store does not answer",
    ),
    "store that knows no commands": (
        {"store_url": "{knows_no_commands}"},
        "store cannot be used.*unknown command",
    ),
    "data folder below a file": ({"data_dir": "{folder}/file/data"}, "data folder.*file/data"),
    "data folder in use": ({"data_dir": "{folder}/used"}, "another wr already uses.*used"),
    "data that cannot be loaded": (
        {"data_dir": "{folder}/spoilt"},
        "does not start.*store.log.*it said: .*manifest",
    ),
    "data of another engine": (
        {"data_dir": "{folder}/foreign"},
        "foreign holds wr-summary.dfs of dragonfly.*move",
    ),
    "key file missing": ({"session_key_file": "{folder}/none"}, "session_key_file.*none"),
    "key file without a key": ({"session_key_file": "{folder}/garbage"}, "session_key_file.*garbage"),
    "key file that is no text": ({"session_key_file": "{folder}/binary"}, "session_key_file.*binary"),
    "pass key missing": ({"pass_key": "{folder}/none"}, "pass_key.*none"),
    "pass key that is no key": ({"pass_key": "{folder}/garbage"}, "pass_key.*garbage"),
    "pass key that is too short": ({"pass_key": "{folder}/short"}, "pass_key.*short.*32 bytes"),
    "key file with a password": ({"session_key_file": "{folder}/locked"}, "session_key_file.*locked"),
    "key of another algorithm": ({"session_key_file": "{folder}/other"}, "session_key_file.*other.*RS256"),
}
"""Settings, and what the line must say; names in braces stand for what `trouble` has prepared."""


@pytest.fixture(scope="module")
def trouble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Everything that a start can run into."""
    folder = tmp_path_factory.mktemp("trouble")
    (folder / "file").write_text("")
    (folder / "used").mkdir()
    (folder / "spoilt" / "appendonlydir").mkdir(parents=True)
    (folder / "spoilt" / "appendonlydir" / "wr.aof.manifest").write_text("this is no manifest\n")
    (folder / "foreign").mkdir()
    (folder / "foreign" / "wr-summary.dfs").write_bytes(b"")
    (folder / "garbage").write_bytes(b"-----BEGIN PRIVATE KEY-----\nnot\na key\n")
    (folder / "binary").write_bytes(bytes(range(256)))
    (folder / "short").write_bytes(b"x" * 31)
    key = ec.generate_private_key(ec.SECP256R1())
    for name, encryption in (
        ("other", serialization.NoEncryption()),
        ("locked", serialization.BestAvailableEncryption(b"secret")),
    ):
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        (folder / name).write_bytes(pem)
    with ExitStack() as files:
        fcntl.flock(files.enter_context((folder / "used" / "lock").open("w")), fcntl.LOCK_EX)
        taken = files.enter_context(socket.create_server(("127.0.0.1", 0)))
        yield {
            "folder": str(folder),
            "taken": str(taken.getsockname()[1]),
            **{
                answer.__name__: files.enter_context(odd_stores.odd_store(answer))
                for answer in (
                    odd_stores.speaks_http,
                    odd_stores.wants_a_password,
                    odd_stores.says_nothing,
                    odd_stores.hangs_up,
                    odd_stores.goes_away,
                    odd_stores.knows_no_commands,
                )
            },
        }


def spelled(name: str, trouble: dict[str, str], data_dir: Path) -> tuple[list[str], str]:
    """The command, and the pattern of all it must print."""
    settings, says = FAILURES[name]
    wanted = {"bind": "127.0.0.1:0", "data_dir": str(data_dir), **settings}
    command = serve_command(**{key: value.format_map(trouble) for key, value in wanted.items()})
    return command, f"wr: .*{says.format_map(trouble)}.*\n"


@contextmanager
def not_for_ever() -> Iterator[None]:
    """Interrupt a start that does not fail but goes on."""

    def give_up(_number: int, _frame: object) -> None:
        raise TimeoutError("it started, or it does not say that it cannot")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(NOT_FOR_EVER_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        structlog.reset_defaults()


@pytest.mark.parametrize("name", FAILURES)
def test_a_start_that_fails_says_why_in_one_line(name: str, trouble: dict[str, str], tmp_path: Path) -> None:
    command, says = spelled(name, trouble, tmp_path)
    with not_for_ever():
        result = CliRunner().invoke(main, command[command.index("serve") :])
    assert result.exit_code in (1, 2), result.output
    assert result.stdout == ""
    assert re.fullmatch(says, result.stderr), result.stderr


@pytest.mark.parametrize("name", ["port taken", "store unreachable"])
def test_so_does_the_process(name: str, trouble: dict[str, str], tmp_path: Path) -> None:
    command, says = spelled(name, trouble, tmp_path)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=NOT_FOR_EVER_S, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(says, ended.stderr), ended.stderr


def test_a_bad_setting_in_the_environment_is_named_as_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WR_LIMIT_ENQUEUE", "many")
    with not_for_ever():
        result = CliRunner().invoke(main, ["serve", "--bind", "127.0.0.1:0"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.fullmatch("wr: WR_LIMIT_ENQUEUE.*many.*\n", result.stderr), result.stderr


def test_of_two_that_want_one_port_one_serves_and_the_other_says_why_it_cannot(tmp_path: Path) -> None:
    bind = f"127.0.0.1:{free_port()}"
    with starting_server(tmp_path / "a", bind=bind) as one, starting_server(tmp_path / "b", bind=bind) as two:

        def loser() -> int | None:
            return next((number for number, s in enumerate((one, two)) if s.process.poll() is not None), None)

        eventually(lambda: loser() is not None, "one of them has given up", NOT_FOR_EVER_S)
        servers = [one, two]
        lost = servers.pop(int(loser() or 0))
        assert lost.process.returncode == 1
        assert re.fullmatch(f"wr: cannot listen on {bind}: .*\n", lost.log), lost.log
        with servers[0].site() as site:
            assert site.http.get("/health").status_code == 200


def test_a_signal_ends_a_server_whose_store_takes_long_to_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "bin" / "dragonfly"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 1000 # $@\n")
    slow.chmod(slow.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    with starting_server(tmp_path / "data") as server:
        lock = tmp_path / "data" / "store.lock"
        eventually(lambda: lock.exists() and lock.read_text(), "the store is started")
        server.send(signal.SIGTERM)
        assert server.ended() == 1
        assert re.fullmatch("wr: told to stop .*\n", server.log), server.log
