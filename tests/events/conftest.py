"""A NATS server and a waiting room that publishes to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nats import NatsServer, running_nats


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A NATS server of this test's own."""
    with running_nats(tmp_path / "nats") as running:
        yield running
