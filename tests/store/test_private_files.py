"""Files that only their owner can read, whatever was there before."""

import os
import stat
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from wr.store.private_files import close_to_others, write_private


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("before", [None, "a longer key than the new one"], ids=["new", "there before"])
def test_what_is_written_is_the_owners_alone_and_all_there_is(tmp_path: Path, before: str | None) -> None:
    file = tmp_path / "admin-key"
    if before is not None:
        file.write_text(before)
        file.chmod(0o666)
    write_private(file, "key")
    assert (file.read_text(), mode_of(file)) == ("key", 0o600)


def test_nothing_is_written_to_a_file_that_cannot_be_closed_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "admin-key"
    file.write_text("old")
    file.chmod(0o644)
    monkeypatch.setattr(os, "fchmod", lambda *_: None)  # As on a file system that knows no owners.
    with pytest.raises(PermissionError, match="other users could read it"):
        write_private(file, "key")
    assert file.read_text() == "old"


def test_files_that_stay_open_to_others_are_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("wr.dfs", "store.log", "notes.txt"):
        (tmp_path / name).touch(mode=0o644)
        (tmp_path / name).chmod(0o644)
    monkeypatch.setattr(Path, "chmod", lambda *_: None)
    with capture_logs() as logged:
        close_to_others(tmp_path)
    (entry,) = logged
    assert (entry["log_level"], entry["files"]) == ("error", ["store.log", "wr.dfs"])
    assert entry["mend"].startswith(f"chmod -R go= {tmp_path}")
    monkeypatch.undo()
    with capture_logs() as logged:
        close_to_others(tmp_path)
    assert logged == []
    assert {name: mode_of(tmp_path / name) for name in ("wr.dfs", "store.log", "notes.txt")} == {
        "wr.dfs": 0o600,
        "store.log": 0o600,
        "notes.txt": 0o644,
    }


def test_a_folder_that_is_not_there_has_nothing_to_close(tmp_path: Path) -> None:
    with capture_logs() as logged:
        close_to_others(tmp_path / "none")
    assert logged == []
