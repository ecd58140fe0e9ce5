"""Checks the limit on open files of a running server, which it shows in its metrics."""

import re

from wr.client.http_exchange import NoAnswer
from wr.doctor.finding import Finding, unsure
from wr.doctor.http_probe import ask
from wr.doctor.machine import check_crowd, check_open_files

_FILES = re.compile(rb"^process_max_fds (\S+)$", re.MULTILINE)


def check_server(room: str, metrics_token: str, expected_crowd: int) -> list[Finding]:
    """Check the limit on open files of the server at `room`, if its metrics are readable from here."""
    headers = {"Authorization": f"Bearer {metrics_token}"} if metrics_token else {}
    try:
        answer = ask(f"{room}/metrics", headers=headers)
    except NoAnswer as error:
        return [_unknown(f"/metrics does not answer: {error}")]
    told = _FILES.search(answer.body)
    if answer.status != 200 or told is None:
        return [_unknown(f"/metrics is not readable from here ({answer.status})")]
    limit = int(float(told[1]))
    finding = check_crowd(limit, expected_crowd) if expected_crowd else check_open_files(limit)
    return [Finding(finding.severity, "room's files", finding.found, finding.fix)]


def _unknown(why: str) -> Finding:
    fix = (
        "run `wr doctor` on an address of --metrics-from or on the server's machine, or give --metrics-token"
    )
    return unsure("room's files", why, fix)
