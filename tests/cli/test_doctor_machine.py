"""The doctor's checks of the machine: Python, folders, addresses, limits, files that hold secrets."""

import os
import socket
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.support.engines import free_port
from wr.doctor import machine
from wr.doctor.finding import Severity


def test_an_old_python_is_bad() -> None:
    assert machine.check_python((3, 10, 14)).is_bad
    assert machine.check_python((3, 11, 0)).severity is Severity.GOOD
    assert machine.check_python((4, 0, 0)).severity is Severity.GOOD


def test_a_data_folder_that_is_not_there_is_fine_where_it_can_be_made(tmp_path: Path) -> None:
    finding = machine.check_data_dir(tmp_path / "a" / "b")
    assert finding.severity is Severity.GOOD
    assert "will be created" in finding.found
    assert not (tmp_path / "a").exists()


def test_a_data_folder_below_a_file_is_bad(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert machine.check_data_dir(tmp_path / "file").is_bad
    assert machine.check_data_dir(tmp_path / "file" / "data").is_bad


def test_a_data_folder_that_cannot_be_written_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root, whom tests may run as, can write everywhere; what is checked is what is made of the answer.
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert machine.check_data_dir(tmp_path).is_bad
    assert machine.check_data_dir(tmp_path / "below").is_bad


def test_a_data_folder_open_to_others_is_warned_of(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    finding = machine.check_data_dir(tmp_path)
    assert (finding.severity, finding.fix) == (Severity.UNSURE, f"chmod 700 {tmp_path}")
    tmp_path.chmod(0o700)
    assert machine.check_data_dir(tmp_path).severity is Severity.GOOD


def test_looking_at_a_data_folder_leaves_it_free_for_a_server(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "lock").touch()
    for _ in range(2):
        assert "not used by another server" in machine.check_data_dir(tmp_path).found


def test_an_address_is_free_impossible_or_taken_by_another_program() -> None:
    assert machine.check_address(f"127.0.0.1:{free_port()}").severity is Severity.GOOD
    impossible = machine.check_address("192.0.2.1:8080")
    assert impossible.is_bad
    assert "cannot be used" in impossible.found
    with socket.create_server(("127.0.0.1", 0)) as taken:

        def hang_up() -> None:
            taken.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        finding = machine.check_address(f"127.0.0.1:{taken.getsockname()[1]}")
        thread.join()
    assert finding.is_bad
    assert "in use by another program" in finding.found


def test_few_open_files_are_bad_some_are_warned_of_and_many_are_good() -> None:
    verdicts = [machine.check_open_files(limit).severity for limit in (64, 1024, 65_536, -1)]
    assert verdicts == [Severity.BAD, Severity.UNSURE, Severity.GOOD, Severity.GOOD]
    assert "about 960 connections" in machine.check_open_files(1024).found
    assert "about 0 connections" in machine.check_open_files(10).found


def test_a_short_admin_key_is_warned_of_and_not_shown(tmp_path: Path) -> None:
    finding = machine.check_admin_key("x" * 15, tmp_path)
    assert finding.severity is Severity.UNSURE
    assert "xxx" not in str(finding)
    assert machine.check_admin_key("x" * 16, tmp_path).severity is Severity.GOOD


def test_a_generated_admin_key_is_its_owner_s_alone(tmp_path: Path) -> None:
    assert "first start generates" in machine.check_admin_key("", tmp_path).found
    file = tmp_path / "admin-key"
    file.write_text("my-secret\n")
    for mode, verdict in ((0o600, Severity.GOOD), (0o640, Severity.BAD), (0o604, Severity.BAD)):
        file.chmod(mode)
        finding = machine.check_admin_key("", tmp_path)
        assert finding.severity is verdict
        assert "my-secret" not in str(finding)


def test_a_session_key_file_holds_a_private_key_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    assert machine.check_session_key(str(file)).is_bad
    file.write_text("no key")
    assert machine.check_session_key(str(file)).is_bad
    key = ed25519.Ed25519PrivateKey.generate()
    for secret, mode, verdict in (
        (serialization.NoEncryption(), 0o600, Severity.GOOD),
        (serialization.NoEncryption(), 0o644, Severity.UNSURE),
        (serialization.BestAvailableEncryption(b"password"), 0o600, Severity.BAD),
    ):
        file.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret)
        )
        file.chmod(mode)
        assert machine.check_session_key(str(file)).severity is verdict
