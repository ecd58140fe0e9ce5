"""What a server tells of itself to those who may read its metrics."""

import re

from wr.client.http_exchange import NoAnswer
from wr.doctor.finding import Finding, unsure
from wr.doctor.http_probe import ask
from wr.doctor.machine import check_crowd, check_open_files

_FILES = re.compile(rb"^process_max_fds (\S+)$", re.MULTILINE)


def check_server(room: str, metrics_token: str, expected_crowd: int) -> list[Finding]:
    """Check the limit of open files of the server at `room`, as far as it tells."""
    headers = {"Authorization": f"Bearer {metrics_token}"} if metrics_token else {}
    try:
        answer = ask(f"{room}/metrics", headers=headers)
    except NoAnswer as error:
        return [_unknown(f"its /metrics do not answer: {error}")]
    told = _FILES.search(answer.body)
    if answer.status != 200 or told is None:
        return [_unknown(f"its /metrics are not shown here ({answer.status})")]
    limit = int(float(told[1]))
    finding = check_crowd(limit, expected_crowd) if expected_crowd else check_open_files(limit)
    return [Finding(finding.verdict, "room's files", finding.found, finding.mend)]


def _unknown(why: str) -> Finding:
    mend = "ask from one of --metrics-from, give --metrics-token, or run `wr doctor` beside the server"
    return unsure("room's files", why, mend)
