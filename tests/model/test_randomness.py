"""Randomness drawn in larger pieces is handed out once, in the order in which it was drawn."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from wr.model.randomness import RandomPool


class Source:
    """Counts instead of drawing lots, so that every byte handed out says where it came from."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self.drawn = 0

    def __call__(self, count: int) -> bytes:
        self.drawn += 1
        return b"".join(next(self._numbers).to_bytes(4, "big") for _ in range(-(-count // 4)))[:count]


@given(st.lists(st.sampled_from([8, 16]), min_size=1, max_size=2000))
def test_nothing_is_handed_out_twice(counts: list[int]) -> None:
    pool = RandomPool(Source())
    pieces = [pool(count) for count in counts]
    assert [len(piece) for piece in pieces] == counts
    words = [piece[at : at + 4] for piece in pieces for at in range(0, len(piece), 4)]
    assert len(set(words)) == len(words)


def test_many_are_drawn_at_once_and_what_is_longer_is_drawn_whole() -> None:
    source = Source()
    pool = RandomPool(source)
    for _ in range(256):
        pool(16)
    assert source.drawn == 1
    assert len(pool(10_000)) == 10_000
