"""The watch over connections: one that fails does not keep the others from their deadlines."""

import structlog
import trio

from wr.http.connection_timeouts import ConnectionTimeouts


class Waiting:
    """A connection whose deadline has passed."""

    deadline = 0.0

    def __init__(self, *, is_broken: bool) -> None:
        self._is_broken = is_broken
        self.said: list[str] = []

    def run_out(self) -> None:
        self.deadline = float("inf")
        self.said.append("ran out")
        if self._is_broken:
            raise ZeroDivisionError

    def close(self) -> None:
        self.said.append("closed")


async def test_a_connection_that_fails_at_its_deadline_is_closed_and_the_others_meet_theirs() -> None:
    def fail(now: float) -> None:
        raise ZeroDivisionError(now)

    watch = ConnectionTimeouts(1.0, fail)
    connections = [Waiting(is_broken=number == 1) for number in range(3)]
    for connection in connections:
        watch.add(connection)
    with structlog.testing.capture_logs() as logs:
        watch.look()
    assert [connection.said for connection in connections] == [
        ["ran out"],
        ["ran out", "closed"],
        ["ran out"],
    ]
    assert [entry["event"] for entry in logs] == [
        "the work that runs with each check of the deadlines failed",
        "a connection was ended by an error",
    ]
    assert watch.now <= trio.current_time()
