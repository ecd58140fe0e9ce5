"""Computes the result of a rehearsal with faults. Pure."""

from collections import Counter

import msgspec

from wr.rehearse.chaos import promises
from wr.rehearse.chaos.incidents import Record
from wr.rehearse.evidence import gather
from wr.rehearse.measurements import Offset
from wr.rehearse.observations import Observations
from wr.rehearse.verdict import Verdict, verdict_on

_UNSURE_MS = 20.0
"""Error of the measured difference between two clocks, in milliseconds, including their drift."""


def judge(seen: Observations, record: Record) -> Verdict:
    """Check all promises against the observations of a run and its faults."""
    ahead_ms = record.clock_ahead_ms
    # The observations do not give the server's clock: for a moment, a store that lost data may tell an
    # admitted visitor to wait.
    offset = Offset(ahead_ms - _UNSURE_MS, ahead_ms + _UNSURE_MS) if ahead_ms is not None else None
    # Faults change the rate on purpose; the record contains the changes.
    evidence = msgspec.structs.replace(gather(seen, offset), is_changed=False)
    verdict = verdict_on(evidence, (promise(evidence, record) for promise in promises.ALL))
    return msgspec.structs.replace(verdict, notes=(*_notes(record), *verdict.notes))


def _notes(record: Record) -> list[str]:
    counts = Counter(incident.kind.value for incident in record.incidents)
    kinds = ", ".join(f"{count:,} × {kind}" for kind, count in sorted(counts.items()))
    notes = [f"{len(record.incidents):,} faults happened: {kinds or 'none'}."]
    if len(record.incidents) < record.wanted:
        notes.append(f"{record.wanted - len(record.incidents):,} more were planned but did not happen.")
    return notes
