"""`wr doctor`: the whole examination, and that it neither changes nor betrays anything."""

import ipaddress
from pathlib import Path

import pytest

from tests.cli.conftest import run_wr
from tests.support.engines import free_port
from wr.doctor import machine, store_server
from wr.doctor.examination import check_environment, check_proxies, examine
from wr.doctor.finding import Finding, Severity, bad, good
from wr.server.lifecycle import Ready
from wr.server.settings import describe_settings


def verdicts(findings: list[Finding]) -> dict[str, str]:
    return {finding.subject: str(finding.severity) for finding in findings}


def test_a_finding_is_one_line_with_what_to_mend_at_its_end() -> None:
    assert (
        str(bad("address", "it is taken", "take another")) == "✗ address          it is taken → take another"
    )
    assert str(good("python", "3.11")) == "✓ python           3.11"


def test_every_finding_that_is_not_good_says_what_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    findings = [
        machine.check_python((3, 10, 0)),
        machine.check_data_dir(tmp_path / "file"),
        machine.check_open_files(100),
        machine.check_admin_key("short", tmp_path),
        machine.check_session_key(str(tmp_path / "file")),
        *store_server.check_store("nonsense"),
        *check_environment({"WR_BIN": "x"}, {"WR_BIND"}),
    ]
    assert all(finding.severity is not Severity.GOOD and finding.fix for finding in findings)


def test_a_sound_setup_has_no_cross_and_exit_code_0(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    result = run_wr("doctor", "--bind", "127.0.0.1:0", "--data-dir", str(tmp_path))
    assert result.exit_code == 0
    subjects = [line[2:].split("  ")[0] for line in result.stdout.splitlines()]
    assert subjects[:5] == ["settings", "python", "data folder", "embedded store", "address"]
    assert "✗" not in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_one_cross_makes_the_exit_code_1(tmp_path: Path) -> None:
    result = run_wr("doctor", "--bind", "192.0.2.1:80", "--data-dir", str(tmp_path))
    assert result.exit_code == 1
    assert "✗ address" in result.stdout


def test_a_mere_warning_leaves_the_exit_code_0(tmp_path: Path) -> None:
    result = run_wr(
        *(
            "doctor",
            "--bind",
            "127.0.0.1:0",
            "--data-dir",
            str(tmp_path),
            "--trusted-proxies",
            "0.0.0.0/0",
        )
    )
    assert result.exit_code == 0
    assert "! trusted proxies" in result.stdout


def test_beside_a_running_server_it_finds_that_server(server: Ready, data_dir: Path) -> None:
    bind = server.url.removeprefix("http://")
    result = run_wr("doctor", "--bind", bind, "--data-dir", str(data_dir))
    assert result.exit_code == 0, result.stdout
    assert f"runs at {bind} and is healthy" in result.stdout
    assert "used by a running server" in result.stdout
    assert "generated; in " in result.stdout
    assert server.admin_key not in result.stdout


def test_bad_settings_are_reported_and_the_rest_is_checked_all_the_same() -> None:
    findings = list(examine({"bind": "nowhere"}, {"WR_BNID": "x"}, {"WR_BIND"}))
    assert findings[0].is_bad
    assert findings[0].found == "--bind: 'nowhere' is not ADDRESS:PORT, such as 127.0.0.1:8080"
    assert {"python", "open files", "environment"} <= verdicts(findings).keys()


def test_it_names_what_is_given_but_shows_no_secret(tmp_path: Path) -> None:
    port = free_port()
    environment = {
        "WR_ADMIN_KEY": "my-admin-secret-of-length",
        "WR_STORE_URL": f"redis://user:my-store-secret@127.0.0.1:{port}/?password=my-other-secret",
    }
    result = run_wr("doctor", "--bind", "127.0.0.1:0", "--data-dir", str(tmp_path), **environment)
    assert "set: --bind, --data-dir, WR_STORE_URL, WR_ADMIN_KEY" in result.stdout
    assert "secret" not in result.stdout
    assert result.exit_code == 1


def test_a_misspelt_variable_is_warned_of_with_the_nearest_name() -> None:
    known = {setting.variable for setting in describe_settings()}
    (finding,) = check_environment({"WR_LIMIT_ENQUE": "1/1", "WR_BIND": "x:1", "PATH": ""}, known)
    assert finding.severity is Severity.UNSURE
    assert finding.found == "WR_LIMIT_ENQUE is set, but no command reads it"
    assert finding.fix == "did you mean WR_LIMIT_ENQUEUE?"


def test_a_variable_like_no_other_is_warned_of_without_a_guess() -> None:
    (finding,) = check_environment({"WR_XYZZY": ""}, {"WR_BIND"})
    assert finding.fix == "see `wr serve --help`"


def test_what_wr_and_its_tests_read_is_known() -> None:
    result = run_wr("doctor", "--bind", "127.0.0.1:0", WR_URL="http://x", WR_TEST_STORE_URL="redis://x")
    assert "✓ environment" in result.stdout


@pytest.mark.parametrize("everyone", ["0.0.0.0/0", "::/0"])
def test_trusting_everybody_is_warned_of(everyone: str) -> None:
    network = ipaddress.ip_network(everyone)
    assert check_proxies([network]).severity is Severity.UNSURE
    assert check_proxies([ipaddress.ip_network("10.0.0.0/8")]).severity is Severity.GOOD
    assert check_proxies([]).found.endswith("none")
