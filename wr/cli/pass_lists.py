"""Writes issued passes as links, CSV, JSON or a table."""

import csv
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import msgspec

from wr.api.passes.messages import IssuedPassesResponse
from wr.client.pass_issuing import Take

FORMATS = ("links", "csv", "json")
CSV_HEADER = ("subject", "pass_id", "expires_at", "pass", "link")


@contextmanager
def written(form: str, output: Path | None) -> Iterator[Take]:
    """Give the function that takes issued passes and writes them in the form `form`.

    `form` is one of `FORMATS`. If it is empty, a terminal gets a table and everything else gets links.
    `output` is a new file that only its owner may read; without it, the passes go to standard output. If the
    block fails, the passes issued before are written all the same. A file without any pass is removed.

    Raises:
        OSError: the file exists already, or cannot be written.
    """
    if output is None:
        with _in_form(form, sys.stdout) as take:
            yield take
        return
    with _new_secret_file(output) as file, _in_form(form or "links", file) as take:
        yield take


@contextmanager
def _new_secret_file(path: Path) -> Iterator[TextIO]:
    # Only a new file has an owner and permissions that this command chose. Overwriting a list of passes would
    # lose them: the server shows a pass only once.
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(number, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123 - the file is open already
        try:
            yield file
        except BaseException:
            if not file.tell():
                path.unlink()
            raise


@contextmanager
def _in_form(form: str, file: TextIO) -> Iterator[Take]:
    from wr.cli import tables

    if form == "links" or (not form and not tables.make_console().is_terminal):
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
                tables.show_answer(whole, as_json=False)


class _CsvRows:
    """Writes passes as rows of CSV. The header is written before the first row."""

    def __init__(self, file: TextIO) -> None:
        self._rows = csv.writer(file, lineterminator="\n")
        self._has_header = False

    def add(self, answer: IssuedPassesResponse) -> None:
        """Write the passes of one answer."""
        if not self._has_header:
            self._rows.writerow(CSV_HEADER)
            self._has_header = True
        for each in answer.passes:
            self._rows.writerow((each.subject, each.pass_id, answer.expires_at, each.pass_, each.link))
