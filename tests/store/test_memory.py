"""What a server makes of what the store tells of its memory."""

from typing import Any

import pytest

from tests.support.engines import Engine
from wr.store.memory_usage import StoreMemory, read_memory


def test_places_stop_at_95_percent_and_come_back_below_90() -> None:
    memory = StoreMemory()
    seen = []
    for used in (94, 95, 94, 90, 89, 94, 95):
        memory.take(used, 100)
        seen.append(memory.is_short)
    assert seen == [False, True, True, True, False, False, True]


def test_a_store_that_refuses_is_believed_until_it_tells_that_it_has_enough() -> None:
    memory = StoreMemory()
    memory.take(50, 100)
    memory.found_full()
    assert memory.is_short
    memory.take(92, 100)
    assert memory.is_short
    memory.take(50, 100)
    assert not memory.is_short


@pytest.mark.parametrize("told", [(10, 0), (None, None)])
def test_where_no_limit_is_known_a_place_is_tried_again(told: tuple[int | None, int | None]) -> None:
    memory = StoreMemory()
    memory.found_full()
    memory.take(*told)
    assert not memory.is_short
    assert memory.part_used is None


def test_a_real_store_tells_of_its_memory(engine: Engine) -> None:
    with engine.client() as client:
        told = read_memory(client.info)
    assert told is not None
    assert told[0] > 100_000
    assert told[1] >= 0


def test_of_several_nodes_the_fullest_counts() -> None:
    told: dict[str, Any] = {
        "one:1": {"used_memory": 500, "maxmemory": 1000},
        "two:1": {"used_memory": 90, "maxmemory": 100},
        "three:1": {"used_memory": 7000, "maxmemory": 0},
    }
    assert read_memory(lambda _section: told) == (90, 100)
    assert read_memory(lambda _section: {"redis_version": "7"}) is None
