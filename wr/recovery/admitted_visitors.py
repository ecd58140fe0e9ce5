"""Remembers the recently admitted visitors of a queue, 16 bytes each, and when their sessions end."""

from collections import deque
from collections.abc import Iterator, Sequence

import msgspec

from wr.store.recall import AdmittedVisitor

_ID_BYTES = 16
_LEAST_MS = 3_600_000
"""Milliseconds for which a visitor is remembered at least: as long as the place's token may still be used."""


class _Admission(msgspec.Struct, frozen=True):
    """The visitors that one pass admitted."""

    started_ms: int
    ends_ms: int
    ids: bytes
    """Their position ids, concatenated."""


class AdmittedVisitors:
    """The admitted visitors of one queue: of the last hour, and those whose session may be active.

    Keeps the newest `most` visitors.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._admissions: deque[_Admission] = deque()
        self._ended: deque[_Admission] = deque()
        self._count = 0
        self._ended_count = 0

    @property
    def kept_lists(self) -> tuple[int, int]:
        """How many lists of admissions and of ends are kept, which bounds the memory."""
        return len(self._admissions), len(self._ended)

    def let_in(self, ids: Sequence[bytes], started_ms: int, ends_ms: int) -> None:
        """Record the visitors that a pass admitted."""
        if ids:
            self._admissions.append(_Admission(started_ms, ends_ms, b"".join(ids)))
            self._count += len(ids)
            while self._admissions and (
                _kept_until(self._admissions[0]) <= started_ms or self._count > self._most
            ):
                self._count -= len(self._admissions.popleft().ids) // _ID_BYTES

    def ended(self, ids: Sequence[bytes], at_ms: int) -> None:
        """Record the visitors whose session ended."""
        if ids and self._admissions:
            self._ended.append(_Admission(at_ms, at_ms, b"".join(ids)))
            self._ended_count += len(ids)
            oldest_ms = self._admissions[0].started_ms
            while self._ended and (self._ended[0].ends_ms < oldest_ms or self._ended_count > self._most):
                self._ended_count -= len(self._ended.popleft().ids) // _ID_BYTES

    def listed(self, now_ms: int) -> list[AdmittedVisitor]:
        """List the visitors. A session that has ended has an end in the past. Costs 1 µs per visitor."""
        gone = {position_id for each in self._ended for position_id in _ids(each)}
        return [
            AdmittedVisitor(position_id, each.started_ms, 0 if position_id in gone else each.ends_ms)
            for each in self._admissions
            if _kept_until(each) > now_ms
            for position_id in _ids(each)
        ]

    def recent(self, since_ms: int, most: int) -> list[AdmittedVisitor]:
        """List the newest `most` visitors who were admitted after `since_ms`, as `listed` does. 1 µs each."""
        gone: set[bytes] = set()
        for each in reversed(self._ended):
            if each.started_ms <= since_ms:
                break
            gone.update(_ids(each))
        found: list[AdmittedVisitor] = []
        for each in reversed(self._admissions):
            if each.started_ms <= since_ms or len(found) >= most:
                break
            found += (
                AdmittedVisitor(position_id, each.started_ms, 0 if position_id in gone else each.ends_ms)
                for position_id in _ids(each)
            )
        return found[:most][::-1]


def _kept_until(admission: _Admission) -> int:
    return max(admission.ends_ms, admission.started_ms + _LEAST_MS)


def _ids(admission: _Admission) -> Iterator[bytes]:
    for start in range(0, len(admission.ids), _ID_BYTES):
        yield admission.ids[start : start + _ID_BYTES]
