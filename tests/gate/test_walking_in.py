"""A walk-in whose visitor goes away: what the pass did to others is told all the same."""

from typing import Any

import trio

from wr.model.places import Waiting
from wr.model.queue_settings import QueueConfig
from wr.model.tokens import PositionClaims, PositionProof
from wr.room.gate_sessions import GateSessionService
from wr.room.join_rules import JoiningVisitor
from wr.room.queue_cache import view_of
from wr.room.visitors import HeldPlace
from wr.store.admit import AdmissionPass

CONFIG = QueueConfig(id="q", name="Q", target_url="https://shop.example/")
CLAIMS = PositionClaims(
    position_id=b"p" * 16, queue_id="q", priority=0, enqueued_ms=0, issued_s=0, expires_s=0
)
LINE = HeldPlace(PositionProof(CLAIMS, "token"), Waiting(1), view_of(CONFIG), 1, None, is_new=True)


class Beside:
    """What a walk-in asks, answered at once; the visitor is gone when the pass is asked for."""

    waiting, active, config = 0, 0, CONFIG

    def __init__(self, visitor_gone: trio.CancelScope, done: dict[str, AdmissionPass]) -> None:
        self._visitor_gone = visitor_gone
        self._done = done
        self.learned: list[dict[str, AdmissionPass]] = []
        self.passes = self

    async def get(self, _queue_id: str) -> "Beside":
        return self

    async def enqueue(self, *_: object) -> HeldPlace:
        return LINE

    async def admit(self, _queue_ids: list[str]) -> dict[str, AdmissionPass]:
        self._visitor_gone.cancel()
        await trio.lowlevel.checkpoint()
        return self._done

    async def learn(self, done: dict[str, AdmissionPass], /) -> None:
        await trio.lowlevel.checkpoint()
        self.learned.append(done)

    async def poll(self, *_: object) -> HeldPlace:
        await trio.lowlevel.checkpoint()
        raise AssertionError("the visitor has gone")


async def test_a_pass_is_learned_of_though_the_visitor_for_whom_it_came_early_has_gone() -> None:
    done: dict[str, AdmissionPass] = {}
    with trio.CancelScope() as visitor_gone:
        beside = Beside(visitor_gone, done)
        told: Any = beside
        house = GateSessionService(told, told, told, told, told, lambda: 0.0)
        await house.walk_in("q", JoiningVisitor("192.0.2.1", "test"), may_wait=True)
    assert visitor_gone.cancelled_caught
    assert beside.learned == [done]
