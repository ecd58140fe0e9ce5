"""What a server keeps in its data folder for a store that forgets, beside a real store."""

import os
from collections.abc import Sequence
from pathlib import Path

from tests.recovery.test_acknowledged_state import done
from tests.support.engines import Engine
from wr.model.queue_settings import QueueConfig
from wr.model.signing import SigningKey
from wr.recovery.acknowledged_state import AcknowledgedState
from wr.recovery.recovery import Recovery
from wr.recovery.recovery_file import read_kept
from wr.server.settings import Settings
from wr.store.store import open_store

NOW_MS = 1_800_000_000_000
STORE = "the store of this test"


class NoKeys:
    """A server that has no signing keys yet."""

    address_key = b""

    def signing_keys(self) -> Sequence[SigningKey]:
        return ()


async def test_the_visitors_of_the_last_pass_are_in_the_recovery_file_when_a_server_stops(
    engine: Engine, prefix: str, tmp_path: Path
) -> None:
    async with open_store(engine.url, Settings().limits, prefix=f"{prefix}:last") as store:
        memory = AcknowledgedState(lambda: 0.0)
        recovery = Recovery(
            store,
            memory,
            NoKeys(),
            webhooks_seen=lambda: (),
            clock_ms=lambda: NOW_MS,
            folder=tmp_path,
            store_mark=STORE,
        )
        await recovery.open()
        memory.learn_settings(QueueConfig(id="drop", name="Drop", target_url="https://example.com/"))
        visitor = os.urandom(16)
        memory.learn("drop", done(now_ms=NOW_MS, sessions_end_ms=NOW_MS + 60_000, admitted=[visitor]))
        await recovery.keep_last()
    kept = read_kept(tmp_path, STORE)
    assert kept is not None
    assert [each.position_id for each in kept.admitted["drop"]] == [visitor]
