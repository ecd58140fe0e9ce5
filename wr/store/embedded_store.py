"""The embedded store: a store server as a child process on a Unix socket, restarted if it dies."""

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import IO

import redis
import structlog
import trio
from redis.backoff import NoBackoff
from redis.retry import Retry

from wr.model.refusals import Unavailable
from wr.store.connection import Connection
from wr.store.engines import StoreFailure, find_engine, foreign_data
from wr.store.private_files import PRIVATE_UMASK, close_to_others, open_private

log = structlog.get_logger("wr.store")

_LONGEST_SOCKET_PATH = 100  # the kernel takes 107 bytes
STOP_S = 20.0
"""How long a store may take to save and end before it is killed."""
ANSWER_S = 1.0
"""How long a store that a killed server left behind may take to answer."""
_LAST_WORDS_BYTES = 4096
_LONGEST_LAST_WORD = 300
_PR_SET_PDEATHSIG = 1


@asynccontextmanager
async def embedded_store(
    data_dir: Path,
    fsync: str,
    *,
    memory: int = 0,
    give_up: Callable[[], Awaitable[None]] = trio.sleep_forever,
    stop_s: float = STOP_S,
    answer_s: float = ANSWER_S,
) -> AsyncIterator[str]:
    """Run an embedded store in `data_dir`, and yield its URL. At the end it saves its data and is stopped.

    It may use `memory` bytes; 0 leaves that to the engine (see `Engine.command`).

    Raises:
        StoreFailure: the folder cannot be used, another server uses it, it has data of another engine, the
            store does not start, or `give_up` returned before the store had loaded its data.
    """
    folder = data_dir.absolute()  # noqa: ASYNC240 - start-up, before anything else runs
    with ExitStack() as files:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            close_to_others(folder)
            ours = files.enter_context(open_private(folder / "lock", os.O_WRONLY))
            child_lock = files.enter_context(open_private(folder / "store.lock", os.O_RDWR))
            socket = _socket_path(folder)
        except OSError as error:
            raise StoreFailure(
                f"the data folder {folder} cannot be used by user {os.geteuid()}: {error.strerror}; "
                f"`chown {os.geteuid()} {folder}`, or give another --data-dir"
            ) from error
        if not _take(ours):
            raise StoreFailure(
                f"another wr already uses the data folder {folder}; "
                "give this one its own --data-dir, or both one --store-url"
            )
        engine = find_engine()
        foreign = foreign_data(engine, folder)
        if foreign is not None:
            raise StoreFailure(f"{foreign.found}: {foreign.fix}")
        url = f"unix://{socket}"
        await _retire_orphan(child_lock, url, stop_s, answer_s)
        child = _Child(engine.command(folder, socket, fsync, memory), engine.name, folder, child_lock)
        try:
            async with trio.open_nursery() as nursery:
                async with trio.open_nursery() as patience:
                    patience.start_soon(_fail_after, give_up)
                    await nursery.start(child.keep_running, url)
                    patience.cancel_scope.cancel()
                yield url
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                await child.stop(stop_s)


class _Child:
    """The process of the store: starts it, starts it again if it dies, and stops it.

    It inherits `lock`, so that the lock is held as long as that process lives, even if the server dies.
    """

    def __init__(self, command: list[str], name: str, folder: Path, lock: IO[str]) -> None:
        self._name = name
        self._command = command
        self._log_file = folder / "store.log"
        self._began_at = 0
        self._lock = lock
        self._process: subprocess.Popen[bytes] | None = None
        self._waits = trio.CapacityLimiter(1)

    async def keep_running(
        self, url: str, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Start the child, report when it answers, and start it again each time it dies."""
        pause_s = 0.05
        has_served = False
        while True:
            try:
                process = self._start()
            except (OSError, subprocess.SubprocessError) as error:
                if not has_served:
                    raise StoreFailure(f"the embedded {self._name} cannot be started: {error}") from error
                log.error("the embedded store cannot be started just now", error=str(error))  # noqa: TRY400 - no traceback for operators
            else:
                if await self._answers(process, url):
                    pause_s = 0.05
                    if has_served:
                        log.warning("the embedded store serves again", engine=self._name)
                    else:
                        has_served = True
                        task_status.started()
                    await trio.to_thread.run_sync(process.wait, abandon_on_cancel=True, limiter=self._waits)
                elif not has_served:
                    raise StoreFailure(
                        f"the embedded {self._name} does not start; see {self._log_file}{self._last_words()}"
                    )
                log.error("the embedded store died and is started again", exit_code=process.returncode)
            await trio.sleep(pause_s)
            pause_s = min(2.0, pause_s * 2)

    async def stop(self, stop_s: float) -> None:
        """Ask the child to save and end. Kill it after `stop_s` seconds."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        with trio.move_on_after(stop_s):
            await trio.to_thread.run_sync(process.wait, abandon_on_cancel=True)
        if process.poll() is None:
            log.error("the embedded store did not stop in time and is killed", seconds=stop_s)
            process.kill()
            await trio.to_thread.run_sync(process.wait)

    def _start(self) -> subprocess.Popen[bytes]:
        # In this thread, not in a worker: the kernel ends the child when the thread that started it ends, and
        # a worker thread ends after it has been idle for a while.
        with open_private(self._log_file, os.O_WRONLY | os.O_APPEND) as output:
            self._began_at = output.seek(0, os.SEEK_END)
            self._process = subprocess.Popen(  # noqa: S603 - the command is built here from known parts
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=_end_with_parent() if sys.platform == "linux" else None,  # noqa: PLW1509 - one system call
                start_new_session=True,  # Ctrl-C is for the server, which stops the store last
                pass_fds=[self._lock.fileno()],
                umask=PRIVATE_UMASK,  # The files of the store contain the signing keys.
            )
        self._lock.seek(0)
        self._lock.truncate()
        self._lock.write(str(self._process.pid))
        self._lock.flush()
        return self._process

    def _last_words(self) -> str:
        """Quote the last line of the child's log, which may be in a container that is removed."""
        with self._log_file.open("rb") as log_file:
            log_file.seek(max(self._began_at, log_file.seek(0, os.SEEK_END) - _LAST_WORDS_BYTES))
            lines = log_file.read().decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return f"; it said: {said[-1][:_LONGEST_LAST_WORD]}" if said else ""

    @staticmethod
    async def _answers(process: subprocess.Popen[bytes], url: str) -> bool:
        """Wait until the child answers, for as long as it loads; False if it dies before."""
        connection = Connection(url, connections=1)
        try:
            while process.poll() is None:
                try:
                    await connection.ping()
                except Unavailable:
                    await trio.sleep(0.01)
                else:
                    return True
            return False
        finally:
            connection.close()


async def _fail_after(give_up: Callable[[], Awaitable[None]]) -> None:
    await give_up()
    raise StoreFailure("told to stop before the embedded store had loaded its data")


def _take(lock: IO[str]) -> bool:
    """Lock a file as long as it is open; False if another process has locked it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _socket_path(folder: Path) -> Path:
    socket = folder / "store.sock"
    if len(os.fsencode(socket)) <= _LONGEST_SOCKET_PATH:
        return socket
    short = Path(tempfile.gettempdir()) / f"wr-{os.getuid()}-{sha256(os.fsencode(folder)).hexdigest()[:16]}"
    short.mkdir(mode=0o700, exist_ok=True)
    # Another user may have created it in this shared folder, for example as a link to elsewhere.
    if short.is_symlink() or short.stat().st_uid != os.getuid():
        raise StoreFailure(f"{short} belongs to someone else; give a shorter --data-dir")
    short.chmod(0o700)
    return short / "store.sock"


async def _retire_orphan(lock: IO[str], url: str, stop_s: float, answer_s: float) -> None:
    """Let the store of a server that was killed save its data and end, and wait until it has.

    Two stores in one folder would write the same files. The lock is free only when the process has ended,
    which is a better proof than a socket that does not answer.

    Raises:
        StoreFailure: it cannot be ended.
    """
    if _take(lock):
        return
    log.warning("the store of a server that was killed still runs; it is asked to save and end")
    for end in (lambda: _ask_to_end(url, answer_s), lambda: _kill_holder(lock)):
        await trio.to_thread.run_sync(end)
        with trio.move_on_after(stop_s):
            while not _take(lock):  # noqa: ASYNC110 - no event tells of another process's end
                await trio.sleep(0.01)
            return
    raise StoreFailure("the store of a server that was killed still runs and cannot be ended")


def _ask_to_end(url: str, answer_s: float) -> None:
    client = redis.Redis.from_url(url, protocol=2, socket_timeout=answer_s, retry=Retry(NoBackoff(), 0))
    try:
        client.shutdown()
    except redis.RedisError as error:
        log.warning("the store did not take the request to end", error=str(error))
    finally:
        client.close()


def _kill_holder(lock: IO[str]) -> None:
    lock.seek(0)
    # The process group: as long as a member holds the lock, no other process can have that number.
    with suppress(ValueError, ProcessLookupError):
        os.killpg(int(lock.read()), signal.SIGKILL)


def _end_with_parent() -> "ctypes._FuncPointer":
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # type: ignore[return-value]
