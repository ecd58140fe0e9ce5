"""What is told of a run, and the file that lets its finding be looked at again."""

import json
from dataclasses import asdict
from pathlib import Path

from tests.hostile.fuzzing.mutations import Case
from tests.hostile.fuzzing.run import Finding, Outcome, Plan

FINDINGS = Path(__file__).parents[2] / "output" / "fuzz"
_SHOWN_BYTES = 1_500


def report(outcome: Outcome, plan: Plan) -> list[str]:
    """Tell how a run ended, line by line, and keep what it found in a file, which is named."""
    figures, finding = outcome.figures, outcome.finding
    sent = ", ".join(f"{count} to {target}" for target, count in figures.cases.items())
    told = [
        f"{plan.lane} lane: {sent or 'the cases of the file'}; memory {figures.first_mib:.0f} to "
        f"{figures.largest_mib:.0f} MiB; another visitor had {figures.visitor_answers} answers, the slowest "
        f"after {figures.slowest_s * 1000:.0f} ms, or {figures.slowest_own_s * 1000:.0f} ms without the time "
        "in which the machine had no processor for it"
    ]
    if finding is None:
        return told
    path = FINDINGS / f"{plan.lane}-{plan.seed}.jsonl"
    keep(finding, path)
    told.append(f"BROKEN with seed {plan.seed}: {finding.fault.kind}: {finding.fault.detail}")
    if finding.is_certain:
        (case,) = finding.suspects
        told.append(f"the case {case.name}")
        told += [
            f"its {what}: {_shown(data)}"
            for what, data in (("handshake", case.opening), ("bytes", case.stream))
            if data
        ]
    else:
        count = len(finding.suspects)
        told.append(f"no case alone does it again: it was one of the last {count}, or several together")
    told.append(f"kept in {path}; again: ./scripts/fuzz --lane {plan.lane} --replay {path}")
    return told


def _shown(data: bytes) -> str:
    more = f" and {len(data) - _SHOWN_BYTES} more" if len(data) > _SHOWN_BYTES else ""
    return f"{data[:_SHOWN_BYTES]!r}{more}"


def keep(finding: Finding, path: Path) -> None:
    """Write the cases of a finding into a file that `kept` reads, one on each line; the bytes as latin-1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (
        json.dumps({name: _text(value) for name, value in asdict(case).items()}) for case in finding.suspects
    )
    path.write_text("".join(line + "\n" for line in lines))


def kept(path: Path) -> list[Case]:
    """Read the cases that `keep` wrote."""
    cases = []
    for line in path.read_text().splitlines():
        case: dict[str, str] = json.loads(line)
        opening, stream = (case.pop(name).encode("latin-1") for name in ("opening", "stream"))
        cases.append(Case(opening=opening, stream=stream, **case))
    return cases


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
