"""Lists of passes: issued in as many calls as needed; written as links, CSV, JSON or a table."""

import csv
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import msgspec

from wr.admin_client import AdminClient, AdminFailure
from wr.api.entry_messages import IssuedPassesResponse

Take = Callable[[IssuedPassesResponse], object]

MOST_IN_A_CALL = 1_000
FORMATS = ("links", "csv", "json")
CSV_HEADER = ("subject", "pass_id", "expires_at", "pass", "link")
_MOST_WAITS = 10
"""How often in a row the server's limit is waited for."""


class PassWish(msgspec.Struct, frozen=True, kw_only=True):
    """Which passes to issue."""

    queue_id: str
    subject: str
    """The name of the visitor; of several each gets a number behind it. Empty makes up a name for each."""
    expires_in_s: int
    count: int
    rest: dict[str, object]
    """What else the API is told of each."""


def issue_all(
    api: AdminClient,
    wish: PassWish,
    take: Take,
    *,
    tell: Callable[[str], None],
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> None:
    """Issue passes, at most 1,000 in a call, and hand each answer to `take`. Waits where the server asks for
    that, and tells so. All passes expire at the same time, to the second.

    Raises:
        AdminFailure: a call failed for good; its message says how many passes were issued before.
    """
    began_s = clock()
    issued = waits = 0
    while issued < wish.count:
        asked = min(MOST_IN_A_CALL, wish.count - issued)
        body = {
            **wish.rest,
            "subject": wish.subject,
            "expires_in": max(1, wish.expires_in_s - round(clock() - began_s)),
            "count": asked,
        }
        if issued:
            body["first_number"] = issued + 1
        try:
            answer = api.issue_passes(wish.queue_id, body)
        except AdminFailure as failure:
            waits += 1
            if not failure.retry_after_s or waits > _MOST_WAITS:
                if not issued:
                    raise
                raise AdminFailure(f"{failure} ({issued:,} of {wish.count:,} were issued)") from failure
            tell(f"wr: {failure}; waiting")
            sleep(failure.retry_after_s)
            continue
        take(answer)
        issued, waits = issued + asked, 0
        if wish.count > MOST_IN_A_CALL:
            tell(f"{issued:,} of {wish.count:,} passes issued")


@contextmanager
def written(form: str, output: Path | None) -> Iterator[Take]:
    """Give what writes passes in a form: one of `FORMATS`, or empty for a table on a terminal, else links.

    `output` is a new file that only its owner may read; without it they go to standard output. If the block
    fails, what was issued before is written all the same, and a file without any pass is removed.

    Raises:
        OSError: the file is there already, or cannot be written.
    """
    if output is None:
        with _in_form(form, sys.stdout) as take:
            yield take
        return
    with _new_secret_file(output) as file, _in_form(form or "links", file) as take:
        yield take


@contextmanager
def _new_secret_file(path: Path) -> Iterator[TextIO]:
    # Only a new file is nobody else's, and no list of passes is lost that cannot be had again.
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(number, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123 - it is open already
        try:
            yield file
        except BaseException:
            if not file.tell():
                path.unlink()
            raise


@contextmanager
def _in_form(form: str, file: TextIO) -> Iterator[Take]:
    from wr import command_tables  # noqa: PLC0415 - tables take long to load, help needs none

    if form == "links" or (not form and not command_tables.make_console().is_terminal):
        yield lambda answer: file.writelines(f"{each.link}\n" for each in answer.passes)
        return
    if form == "csv":
        yield _CsvRows(file).add
        return
    answers: list[IssuedPassesResponse] = []
    try:
        yield answers.append
    finally:
        if answers:
            passes = [each for answer in answers for each in answer.passes]
            whole = msgspec.structs.replace(answers[0], passes=passes)
            if form == "json":
                file.write(msgspec.json.format(msgspec.json.encode(whole), indent=2).decode() + "\n")
            else:
                command_tables.show_answer(whole, as_json=False)


class _CsvRows:
    """Passes as rows of CSV, under a header that comes with the first."""

    def __init__(self, file: TextIO) -> None:
        self._rows = csv.writer(file, lineterminator="\n")
        self._has_header = False

    def add(self, answer: IssuedPassesResponse) -> None:
        """Write the passes of an answer."""
        if not self._has_header:
            self._rows.writerow(CSV_HEADER)
            self._has_header = True
        for each in answer.passes:
            self._rows.writerow((each.subject, each.pass_id, answer.expires_at, each.pass_, each.link))
