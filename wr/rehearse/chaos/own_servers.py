"""Runs the store and servers of a rehearsal with faults, on loopback, in a temporary folder."""

import secrets
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from wr.rehearse.chaos.incidents import Death
from wr.rehearse.chaos.own_processes import OwnProcess, own_environment
from wr.rehearse.chaos.own_store import BadCommand, OwnStore, free_ports
from wr.rehearse.client import HttpClient, Unanswered
from wr.rehearse.operator import CannotRehearse
from wr.store.engines import StoreFailure

_LOOKS_EVERY_S = 0.05
_RESTARTS_AFTER_S = 0.2
_STARTS_WITHIN_S = 30.0
_ADMIN_KEY_BYTES = 24


class OwnServers:
    """The store and servers of one run, and a record of those that ended without a fault."""

    def __init__(
        self,
        folder: Path,
        servers: int,
        store_command: str,
        ping_interval_s: float,
        clock: Callable[[], float],
    ) -> None:
        """Prepare all processes; `started` starts them.

        Raises:
            CannotRehearse: no store can be started on this machine.
        """
        try:
            self.store = OwnStore(folder, store_command)
        except (BadCommand, StoreFailure) as failure:
            raise CannotRehearse(str(failure)) from failure
        self.folder = folder
        self.admin_key = secrets.token_urlsafe(_ADMIN_KEY_BYTES)
        ports = free_ports(servers)
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        self.servers = [self._server(number, port, ping_interval_s) for number, port in enumerate(ports)]
        self.deaths: list[Death] = []
        self._clock = clock
        self._held: set[str] = set()
        """Names of the processes that a fault has ended and will start again."""

    def _server(self, number: int, port: int, ping_interval_s: float) -> OwnProcess:
        data_dir = self.folder / f"server-{number + 1}"
        data_dir.mkdir()
        settings = {
            "bind": f"127.0.0.1:{port}",
            "store-url": self.store.url,
            "data-dir": str(data_dir),
            "ping-interval": f"{ping_interval_s:g}",
            "live-interval": "1",
            # Visitors send heartbeats once a second, and more often during a fault.
            "limit-admin": "0",
            "limit-status": "0",
            "limit-heartbeat": "0",
        }
        flags = [part for name, value in settings.items() for part in (f"--{name}", value)]
        return OwnProcess(
            f"server {number + 1}",
            [sys.executable, "-m", "wr", "serve", *flags],
            self.folder / f"server-{number + 1}.log",
            {**own_environment(), "WR_ADMIN_KEY": self.admin_key},
        )

    @property
    def processes(self) -> list[OwnProcess]:
        """The store and all servers."""
        return [self.store.process, *self.servers]

    def hold(self, process: OwnProcess) -> None:
        """Note that a fault ends this process and will start it again."""
        self._held.add(process.name)

    def start_again(self, process: OwnProcess) -> None:
        """Start a process that a fault has ended."""
        process.start()
        self._held.discard(process.name)

    async def watch(self) -> None:
        """Until cancelled: restart processes that ended without a fault, as a supervisor would, and record
        it."""
        while True:
            for process in self.processes:
                code = process.exit_code
                if code is None or process.name in self._held:
                    continue
                self.deaths.append(Death(process.name, self._clock(), code))
                await trio.sleep(_RESTARTS_AFTER_S)
                if process.name not in self._held:
                    process.start()
            await trio.sleep(_LOOKS_EVERY_S)

    async def keep_snapshots(self, every_s: float) -> None:
        """Until cancelled: take snapshots of the store's data on disk."""
        while True:
            if self.store.process.name not in self._held:
                # Not on a thread: the copy is small, and no fault may happen during it.
                self.store.take_snapshot(self._clock())
            await trio.sleep(every_s)

    def thaw_all(self) -> None:
        """Let all frozen processes go on."""
        for process in self.processes:
            process.thaw()

    def kill_all(self) -> None:
        """Kill all processes."""
        for process in self.processes:
            process.kill()


async def is_healthy(client: HttpClient) -> bool:
    """Ask a server whether it is healthy."""
    try:
        return (await client.send(client.make(b"GET", b"/health"))).status == 200
    except Unanswered:
        return False


async def started(own_servers: OwnServers, probes: list[HttpClient]) -> None:
    """Start all processes, and wait until every server is healthy.

    Raises:
        CannotRehearse: the store or a server does not start.
    """
    own_servers.store.process.start()
    for server in own_servers.servers:
        server.start()
    for server, probe in zip(own_servers.servers, probes, strict=True):
        with trio.move_on_after(_STARTS_WITHIN_S) as patience:
            while not await is_healthy(probe):
                if own_servers.store.process.exit_code is not None:
                    raise CannotRehearse(f"the store does not start: {_last_line(own_servers.store.process)}")
                if server.exit_code is not None:
                    server.start()
                await trio.sleep(_LOOKS_EVERY_S)
        if patience.cancelled_caught:
            raise CannotRehearse(f"{server.name} does not start: {_last_line(server)}")


def _last_line(process: OwnProcess) -> str:
    lines = process.log_file.read_text(errors="replace").split("\n") if process.log_file.exists() else []
    said = [line.strip() for line in lines if line.strip()]
    return said[-1] if said else "it wrote nothing to its log"


@asynccontextmanager
async def open_own_servers(
    servers: int, store_command: str, ping_interval_s: float, clock: Callable[[], float]
) -> AsyncIterator[OwnServers]:
    """Prepare a store and servers in a temporary folder. The end of the block ends all their processes.

    Raises:
        CannotRehearse: no store can be started on this machine.
    """
    folder = Path(tempfile.mkdtemp(prefix="wr-chaos-"))
    own_servers: OwnServers | None = None
    try:
        own_servers = OwnServers(folder, servers, store_command, ping_interval_s, clock)
        yield own_servers
    except BaseException:
        # After a complete run, the caller still needs the logs. After a failure, no one does.
        if own_servers is not None:
            own_servers.kill_all()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        if own_servers is not None:
            own_servers.kill_all()
