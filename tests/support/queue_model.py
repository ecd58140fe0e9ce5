"""A model of a queue in plain Python, written from the promises, not from the scripts.

The store must agree.
"""

from dataclasses import dataclass, field
from fractions import Fraction

MINUTES_HOUR_MS = 3_600_000


@dataclass
class Waiter:
    """A waiting visitor."""

    position_id: bytes
    priority: int
    arrival: int
    seen_ms: int
    person: bytes


@dataclass
class QueueModel:
    """All promises of a queue, implemented in the slow and obvious way."""

    rate: Fraction = Fraction(10)
    room: int = 1000
    longest: int = 0
    status: str = "active"
    session_ms: int = 3_600_000
    timeout_ms: int = 60_000
    waiting: list[Waiter] = field(default_factory=list)
    sessions: dict[bytes, int] = field(default_factory=dict)
    ended: dict[bytes, tuple[int, str]] = field(default_factory=dict)
    people: dict[bytes, bytes] = field(default_factory=dict)
    tokens: Fraction | None = None
    filled_ms: int = 0
    arrivals: int = 0

    def line(self) -> list[bytes]:
        return [
            waiter.position_id
            for waiter in sorted(self.waiting, key=lambda waiter: (-waiter.priority, waiter.arrival))
        ]

    def is_active(self, position_id: bytes, now_ms: int) -> bool:
        return self.sessions.get(position_id, 0) > now_ms

    def join(self, position_id: bytes, priority: int, person: bytes, now_ms: int) -> tuple[str, bytes]:
        holder = self.people.get(person)
        if holder is not None:
            if any(waiter.position_id == holder for waiter in self.waiting):
                self.heartbeat(holder, now_ms)
                return "waiting", holder
            if self.is_active(holder, now_ms):
                return "admitted", holder
        if self.status == "maintenance":
            return "closed", b""
        if self.longest and len(self.waiting) >= self.longest:
            return "full", b""
        self.arrivals += 1
        self.waiting.append(Waiter(position_id, priority, self.arrivals, now_ms, person))
        if person:
            self.people[person] = position_id
        return "new", position_id

    def heartbeat(self, position_id: bytes, now_ms: int) -> None:
        for waiter in self.waiting:
            if waiter.position_id == position_id:
                waiter.seen_ms = now_ms

    def state(self, position_id: bytes, now_ms: int) -> tuple[str, int]:
        line = self.line()
        if position_id in line:
            return "waiting", line.index(position_id) + 1
        if position_id in self.sessions:
            expires = self.sessions[position_id]
            return ("admitted", expires) if expires > now_ms else ("session_timeout", expires)
        when, why = self.ended.get(position_id, (-MINUTES_HOUR_MS, ""))
        return (why, when) if when > now_ms - MINUTES_HOUR_MS else ("unknown", 0)

    def leave(self, position_id: bytes, now_ms: int) -> bool:
        if position_id in self.line():
            self._forget(position_id, now_ms, "cancelled")
            return True
        if self.is_active(position_id, now_ms):
            del self.sessions[position_id]
            self._forget(position_id, now_ms, "cancelled")
            return True
        if position_id in self.sessions:
            self._forget(position_id, self.sessions.pop(position_id), "session_timeout")
        return False

    def tick(self, now_ms: int) -> tuple[set[bytes], set[bytes], list[bytes]]:
        dropped = {
            waiter.position_id for waiter in self.waiting if waiter.seen_ms <= now_ms - self.timeout_ms
        }
        for position_id in dropped:
            self._forget(position_id, now_ms, "heartbeat_timeout")
        over = {position_id for position_id, expires in self.sessions.items() if expires <= now_ms}
        for position_id in over:
            del self.sessions[position_id]
            self._forget(position_id, now_ms, "session_timeout")
        burst = max(self.rate, Fraction(1))
        if self.tokens is None:
            self.tokens = burst
        else:
            passed_ms = max(0, now_ms - self.filled_ms)
            self.tokens = min(burst, self.tokens + self.rate * passed_ms / 1000)
        self.filled_ms = now_ms
        admitted: list[bytes] = []
        if self.status == "active":
            admitted = self.line()[: max(0, min(int(self.tokens), self.room - len(self.sessions)))]
        for position_id in admitted:
            self.waiting = [waiter for waiter in self.waiting if waiter.position_id != position_id]
            self.sessions[position_id] = now_ms + self.session_ms
        self.tokens -= len(admitted)
        return dropped, over, admitted

    def _forget(self, position_id: bytes, now_ms: int, why: str) -> None:
        self.waiting = [waiter for waiter in self.waiting if waiter.position_id != position_id]
        self.people = {person: holder for person, holder in self.people.items() if holder != position_id}
        self.ended[position_id] = (now_ms, why)
