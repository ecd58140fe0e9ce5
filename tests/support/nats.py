"""Runs a real NATS server with JetStream in a separate folder; tests kill, freeze and restart it."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from tests.support.engines import free_port
from tests.support.processes import eventually

BINARY = Path(sys.executable).with_name("nats-server")
PASSWORD = "secret-of-nats"


@dataclass
class NatsServer:
    """One server. Its address stays the same after a restart."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://wr:{PASSWORD}@127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it with the data in its folder."""
        command = [str(BINARY), "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self.folder)]
        command += ["--user", "wr", "--pass", PASSWORD]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        eventually(self._listens, "NATS listens")

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                return connection.recv(4) == b"INFO"
        except OSError:
            return False

    def kill(self) -> None:
        """Kill it at once, as the kernel does when memory runs out."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def freeze(self) -> None:
        """Freeze it: connections stay open, but it answers nothing."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def stored(self) -> list[tuple[str, dict[str, Any]]]:
        """All events in the stream, oldest first, with their subjects."""
        return asyncio.run(self._stored())

    async def _stored(self) -> list[tuple[str, dict[str, Any]]]:
        client = await nats.connect(self.url)
        try:
            jetstream = client.jetstream()
            try:
                count = (await jetstream.stream_info("WAITINGROOM")).state.messages
            except nats.js.errors.NotFoundError:
                return []
            found: list[tuple[str, dict[str, Any]]] = []
            reader = await jetstream.pull_subscribe(
                "waitingroom.>",
                stream="WAITINGROOM",
                # The server sends at most a thousand unacknowledged messages.
                config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL, ack_policy=AckPolicy.NONE),
            )
            while len(found) < count:
                for message in await reader.fetch(min(500, count - len(found)), timeout=5):
                    event = json.loads(message.data)
                    assert message.headers is not None
                    assert message.headers["Nats-Msg-Id"] == event["id"]
                    found.append((message.subject, event))
            await reader.unsubscribe()
            return found
        finally:
            await client.close()

    def make_stream(self, **config: Any) -> None:
        """Create the stream as an operator does."""

        async def make() -> None:
            client = await nats.connect(self.url)
            await client.jetstream().add_stream(**config)
            await client.close()

        asyncio.run(make())

    def stream_config(self, name: str = "WAITINGROOM") -> Any:
        """The configuration of a stream."""

        async def look() -> Any:
            client = await nats.connect(self.url)
            info = await client.jetstream().stream_info(name)
            await client.close()
            return info.config

        return asyncio.run(look())


@contextmanager
def running_nats(folder: Path) -> Iterator[NatsServer]:
    """Run a server until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    server = NatsServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
