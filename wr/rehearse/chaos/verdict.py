"""The judgement of a rehearsal with faults. Pure."""

from collections import Counter

import msgspec

from wr.rehearse.chaos import promises
from wr.rehearse.chaos.incidents import Record
from wr.rehearse.evidence import gather
from wr.rehearse.measurements import Offset
from wr.rehearse.observations import Observations
from wr.rehearse.verdict import Verdict, verdict_on

_UNSURE_MS = 20.0
"""How far two looks at a clock, and what drifts meanwhile, may be apart."""


def judge(seen: Observations, record: Record) -> Verdict:
    """Judge a rehearsal by what was seen of it, and by what had been done meanwhile."""
    ahead_ms = record.clock_ahead_ms
    # What visitors saw does not tell the clock: a store that forgot may tell a visitor to wait, for a moment,
    # that was let in.
    offset = Offset(ahead_ms - _UNSURE_MS, ahead_ms + _UNSURE_MS) if ahead_ms is not None else None
    # Rates change on purpose, and what they were is in the record.
    evidence = msgspec.structs.replace(gather(seen, offset), is_changed=False)
    verdict = verdict_on(evidence, (promise(evidence, record) for promise in promises.ALL))
    return msgspec.structs.replace(verdict, notes=(*_notes(record), *verdict.notes))


def _notes(record: Record) -> list[str]:
    counts = Counter(incident.kind.value for incident in record.incidents)
    kinds = ", ".join(f"{count:,} × {kind}" for kind, count in sorted(counts.items()))
    notes = [f"{len(record.incidents):,} faults happened: {kinds or 'none'}."]
    if len(record.incidents) < record.wanted:
        notes.append(f"{record.wanted - len(record.incidents):,} more had not come to their turn.")
    return notes
