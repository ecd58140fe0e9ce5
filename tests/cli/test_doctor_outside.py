"""`wr doctor --origin`: what it finds at deployments that are sound, and at those that are not."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import run_wr
from tests.support import plain_http
from tests.support.certificate import make_certificate
from tests.support.engines import free_port
from tests.support.gated_site import running_gated_site, running_narrow_proxy
from tests.support.server import running_server
from tests.support.speaking import speaking
from tests.support.target_site import running_target_site
from wr.client.http_exchange import HttpAnswer, NoAnswer
from wr.doctor import machine
from wr.doctor.deployment import Deployment, examine_deployment
from wr.doctor.finding import Finding, Severity
from wr.doctor.http_probe import ask
from wr.doctor.server import check_server
from wr.doctor.site import Observed, check_clock, check_gate, check_reach, observe
from wr.doctor.trial_visitor import TrialVisitor
from wr.server.lifecycle import Ready

QUIET = {"demo_queue": "yes", "limit_status": "0", "limit_admin": "0", "admission_interval": "0.02"}
STRANGERS = "10.0.0.0/8"
"""Nobody here is among these proxies, so what anybody here claims is not believed."""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    settings = {**QUIET, "trusted_proxies": STRANGERS, "limit_enqueue": "1000/60"}
    with running_server(None, data_dir=str(tmp_path_factory.mktemp("room") / "data"), **settings) as ready:
        yield ready


def look(origin: str, room: str = "", queue_id: str = "") -> dict[str, Finding]:
    deployment = Deployment.at(origin, room, queue_id)
    findings = examine_deployment(
        deployment, "doctor-of-the-tests", now_s=time.time, sleep=lambda _s: time.sleep(0.02)
    )
    return {finding.subject: finding for finding in findings}


def admin(room: Ready, method: str, path: str, **body: object) -> httpx.Response:
    headers = {"X-Admin-Key": room.admin_key}
    return plain_http.request(method, f"{room.url}/api/v1/admin{path}", headers=headers, json=body or None)


def test_a_sound_deployment_has_a_good_line_for_each_check(room: Ready) -> None:
    admin(room, "PATCH", "/queues/demo", target_url="https://example.com/checkout")
    with running_gated_site(room.url) as site:
        admin(room, "PATCH", "/queues/demo", target_url=f"{site.url}/checkout")
        found = look(site.url)
    assert {finding.severity for finding in found.values()} == {Severity.GOOD}, found
    assert list(found) == [
        *("site", "site's clock", "gate", "waiting room", "room's clock", "walk"),
        *("session token", "target", "entry", "proxies"),
    ]


def test_whoever_looked_leaves_nothing_behind(room: Ready) -> None:
    with running_gated_site(room.url) as site:
        assert look(site.url)["walk"].severity is Severity.GOOD
    stats = admin(room, "GET", "/queues/demo/stats").json()
    assert (stats["current_waiting"], stats["current_active"]) == (0, 0)


def test_a_gate_that_was_forgotten_has_to_be_mended(room: Ready) -> None:
    with running_gated_site(room.url, is_open=True) as site:
        found = look(site.url, room.url, "demo")
    assert found["gate"].is_bad
    assert "visitors do not have to wait" in found["gate"].found
    assert "open_paths" in found["gate"].fix
    assert found["session token"].severity is Severity.GOOD
    assert found["entry"].severity is Severity.UNSURE, "every visitor gets in, so that proves nothing"


def test_a_gate_that_only_refuses_deserves_a_look(room: Ready) -> None:
    with running_gated_site(room.url, redirects=False) as site:
        found = look(site.url, room.url, "demo")
    assert found["gate"].severity is Severity.UNSURE
    assert found["entry"].severity is Severity.GOOD


@pytest.mark.parametrize("fault", ["is_deaf", "drops_cookies"])
def test_a_gate_that_sends_away_who_was_let_in_has_to_be_mended(room: Ready, fault: str) -> None:
    with running_gated_site(room.url, **{fault: True}) as site:
        found = look(site.url)
    assert found["gate"].severity is Severity.GOOD
    assert found["entry"].is_bad


@pytest.mark.parametrize(("ahead_s", "word"), [(60.0, "ahead of"), (-60.0, "behind")])
def test_a_clock_that_is_wrong_has_to_be_mended(room: Ready, ahead_s: float, word: str) -> None:
    with running_gated_site(room.url, ahead_s=ahead_s) as site:
        found = look(site.url)
    assert found["site's clock"].is_bad
    assert word in found["site's clock"].found
    assert found["room's clock"].severity is Severity.GOOD


def test_a_forged_address_that_is_believed_has_to_be_mended(tmp_path: Path) -> None:
    everybody = {**QUIET, "trusted_proxies": "0.0.0.0/0"}
    with (
        running_server(None, data_dir=str(tmp_path / "data"), **everybody) as ready,
        running_gated_site(ready.url) as site,
    ):
        found = look(site.url)
    assert found["proxies"].is_bad
    assert "--trusted-proxies" in found["proxies"].fix


def test_without_a_limit_or_with_it_used_up_nobody_can_tell_whom_it_believes(tmp_path: Path) -> None:
    for limit, says in (("0", "no limit"), ("1/3600", "used up")):
        settings = {**QUIET, "limit_enqueue": limit, "trusted_proxies": STRANGERS}
        with (
            running_server(None, data_dir=str(tmp_path / says), **settings) as ready,
            running_gated_site(ready.url) as site,
        ):
            found = look(site.url)
        assert found["proxies"].severity is Severity.UNSURE
        assert says in found["proxies"].found


def test_a_target_elsewhere_deserves_a_look_and_gets_no_token(room: Ready) -> None:
    with running_target_site() as elsewhere, running_gated_site(room.url) as site:
        admin(room, "PATCH", "/queues/demo", target_url=f"{elsewhere.url}/checkout")
        found = look(site.url)
        assert elsewhere.visits == []
    assert found["target"].severity is Severity.UNSURE
    assert f"--target-url {site.url}" in found["target"].fix


def test_a_line_that_does_not_move_ends_the_walk_and_the_place_is_given_up(room: Ready) -> None:
    created = admin(
        room, "POST", "/queues", id="still", target_url="https://example.com/", max_active_users=1
    )
    assert created.status_code == 201, created.text
    admin(room, "PATCH", "/queues/still", status="paused")
    ticks = iter(range(1000))
    with running_gated_site(room.url) as site:
        deployment = Deployment.at(site.url, "", "still")
        findings = examine_deployment(
            deployment, "patient", now_s=lambda: float(next(ticks)), sleep=lambda _s: None
        )
        found = {finding.subject: finding for finding in findings}
    assert found["walk"].severity is Severity.UNSURE
    assert "session token" not in found
    assert admin(room, "GET", "/queues/still/stats").json()["current_waiting"] == 0


def test_what_is_not_there_is_said_and_nothing_more_is_asked(room: Ready) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert list(look(nowhere)) == ["site"]
    with running_target_site() as site:
        found = look(site.url, queue_id="demo")
    assert found["waiting room"].severity is Severity.UNSURE
    assert "a server that is not wr" in found["walk"].found
    assert "proxies" not in found
    with running_gated_site(room.url) as gated:
        assert "no queue nowhere" in look(gated.url, queue_id="nowhere")["walk"].found
        assert look(gated.url, nowhere)["waiting room"].is_bad


def test_a_proxy_that_shows_visitors_only_what_they_need_is_walked_through(tmp_path: Path) -> None:
    with (
        running_server(None, data_dir=str(tmp_path / "data"), **QUIET) as ready,
        running_narrow_proxy(ready.url) as narrow,
        running_gated_site(ready.url, entrance=narrow) as site,
    ):
        admin(ready, "PATCH", "/queues/demo", target_url=site.url)
        found = look(site.url, narrow)
    unsure = {subject for subject, finding in found.items() if finding.severity is Severity.UNSURE}
    assert unsure == {"waiting room", "room's files", "session token"}
    assert found["entry"].severity is Severity.GOOD
    assert not any(finding.is_bad for finding in found.values())


def test_a_proxy_that_is_not_trusted_has_to_be_mended_though_nobody_s_forgery_is_believed(
    room: Ready,
) -> None:
    with running_narrow_proxy(room.url) as narrow, running_gated_site(room.url, entrance=narrow) as site:
        found = look(site.url)
    assert found["proxies"].is_bad
    assert "all visitors count as one address" in found["proxies"].found
    assert "--trusted-proxies" in found["proxies"].fix


def test_visitors_come_by_the_proxy_whatever_the_operator_s_own_way_is(tmp_path: Path) -> None:
    with (
        running_server(None, data_dir=str(tmp_path / "data"), **QUIET) as ready,
        running_narrow_proxy(ready.url) as narrow,
        running_gated_site(ready.url, entrance=narrow) as site,
    ):
        admin(ready, "PATCH", "/queues/demo", target_url=site.url)
        # Asked by the operator's way, from the proxy's own machine, it has to believe what it is told.
        found = look(site.url, ready.url)
    assert {finding.severity for finding in found.values()} == {Severity.GOOD}, found


def test_a_certificate_that_nobody_vouches_for_has_to_be_mended(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    tls = {"tls_certificate_file": str(certificate), "tls_key_file": str(key)}
    with running_server(None, data_dir=str(tmp_path / "data"), **tls) as ready:
        found = look(ready.url)
    assert found["site"].is_bad
    assert "certificate" in found["site"].found


def test_a_session_that_a_gate_gave_is_given_back_by_whoever_only_looked(tmp_path: Path) -> None:
    with running_server(None, data_dir=str(tmp_path / "data"), **QUIET) as ready:
        # The gate itself, asked as Envoy asks it, stands for a site that lets in whoever need not wait.
        found = look(f"{ready.url}/api/v1/gate/demo/")
        stats = admin(ready, "GET", "/queues/demo/stats").json()
    assert "admits at once" in found["gate"].found
    assert "left behind" not in found
    assert (stats["current_waiting"], stats["current_active"]) == (0, 0)
    assert stats["total_admitted_today"] >= 2, "who joined, and who walked in"


def test_a_place_that_a_gate_gave_is_given_back_to_the_room_that_knows_it(tmp_path: Path) -> None:
    with running_server(None, data_dir=str(tmp_path / "data"), **QUIET) as ready:
        admin(ready, "PATCH", "/queues/demo", status="paused")
        token = plain_http.post(f"{ready.url}/api/v1/queues/demo/enqueue").json()["token"]
        head = f"HTTP/1.1 303 See Other\r\nSet-Cookie: wr-demo={token}; Path=/\r\nContent-Length: 0\r\n\r\n"
        visitor = TrialVisitor("doctor")
        with speaking(head.encode()) as gated, running_target_site() as no_room:
            observe(gated, visitor, time.time)
            assert visitor.give_back([f"http://127.0.0.1:{free_port()}", no_room.url]) == 1
        assert admin(ready, "GET", "/queues/demo/stats").json()["current_waiting"] == 1
        assert visitor.give_back([ready.url]) == 0
        assert admin(ready, "GET", "/queues/demo/stats").json()["current_waiting"] == 0


@pytest.mark.parametrize(
    "location",
    [
        *("http://h:99999/wait/demo", "ftp://h/wait/demo", "//[bad/wait/demo"),
        "http://127.0.0.1:1/\xf6/wait/demo",
    ],
)
def test_a_site_that_leads_to_nonsense_is_a_finding(location: str) -> None:
    head = f"HTTP/1.1 303 See Other\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n"
    with speaking(head.encode("latin-1")) as origin:
        found = look(origin)
    assert "site" in found
    assert any(finding.severity is not Severity.GOOD for finding in found.values())


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\n\r\n", b""])
def test_an_answer_that_drips_is_given_up(head: bytes) -> None:
    with speaking(head, drip=b"a") as url, pytest.raises(NoAnswer, match="in time"):
        ask(url, within_s=0.5)


def test_an_answer_that_says_to_go_on_for_ever_is_given_up() -> None:
    with (
        speaking(b"", drip=b"HTTP/1.1 100 Continue\r\n\r\n") as url,
        pytest.raises(NoAnswer, match="in time"),
    ):
        ask(url, within_s=0.5)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/größe", f"http://{'a' * 70}.example/"])
def test_an_address_that_cannot_be_asked_is_no_answer(url: str) -> None:
    with pytest.raises(NoAnswer):
        ask(url)


def test_the_server_s_own_limit_of_files_is_told_to_whoever_may_read_its_metrics(tmp_path: Path) -> None:
    settings = {**QUIET, "metrics_token": "secret-of-the-metrics"}
    with running_server(None, data_dir=str(tmp_path / "data"), **settings) as ready:
        (told,) = check_server(ready.url, "secret-of-the-metrics", 1)
        (enough,) = check_server(ready.url, "secret-of-the-metrics", 0)
        (too_many,) = check_server(ready.url, "secret-of-the-metrics", 10**9)
        (kept,) = check_server(ready.url, "", 1)
    assert (told.severity, enough.subject) == (Severity.GOOD, "room's files")
    assert too_many.is_bad
    assert kept.severity is Severity.UNSURE
    assert "--metrics-token" in kept.fix


def observed(url: str, status: int = 200, end: str = "", **headers: str) -> Observed:
    named = {name.replace("_", "-"): (value,) for name, value in headers.items()}
    return Observed(url, HttpAnswer(status, named, b"", end), 1_700_000_000.0, 1_700_000_000.4)


def test_a_certificate_about_to_end_and_a_site_without_one_deserve_a_look() -> None:
    https = "https://shop.example.com"
    assert check_reach(observed(https, end="Nov 20 00:00:00 2023 GMT")).severity is Severity.UNSURE
    assert check_reach(observed(https, end="Nov 20 00:00:00 2024 GMT")).severity is Severity.GOOD
    assert check_reach(observed("http://shop.example.com")).severity is Severity.UNSURE
    assert check_reach(observed("http://localhost:8080")).severity is Severity.GOOD


def test_a_date_is_as_exact_as_a_second_and_no_date_deserves_a_look() -> None:
    def verdict(second: int) -> Severity:
        return check_clock(
            "clock", observed("http://x", date=f"Tue, 14 Nov 2023 22:13:{second} GMT")
        ).severity

    # Asked at 22:13:20.0 and answered at 22:13:20.4.
    assert [verdict(second) for second in (17, 18, 20, 22, 23)] == [
        *(Severity.GOOD, Severity.GOOD, Severity.GOOD, Severity.GOOD),
        Severity.BAD,
    ]
    assert verdict(16) is Severity.BAD
    assert check_clock("clock", observed("http://x")).severity is Severity.UNSURE
    assert check_clock("clock", observed("http://x", date="yesterday")).severity is Severity.UNSURE


def test_a_gate_is_known_by_where_it_sends_people_or_by_the_session_it_gives() -> None:
    site = "https://shop.example.com/a"
    finding, way = check_gate(observed(site, 303, location="/wait/sale%201?return=%2Fa"))
    assert (finding.severity, way.room, way.queue_id) == (Severity.GOOD, "https://shop.example.com", "sale 1")
    finding, way = check_gate(observed(site, 401, x_wr_location="https://wait.example.com/wait/sale"))
    assert (finding.severity, way.room, way.queue_id) == (Severity.GOOD, "https://wait.example.com", "sale")
    finding, way = check_gate(observed(site, 303, location="/a", set_cookie="wr_session-sale=x; HttpOnly"))
    assert (finding.severity, way.room, way.queue_id) == (Severity.GOOD, "", "sale")
    assert check_gate(observed(site, 301, location="https://www.example.com/"))[0].severity is Severity.UNSURE
    assert check_gate(observed(site, 404))[0].is_bad


def test_limits_that_do_not_hold_the_crowd_have_to_be_mended() -> None:
    assert machine.check_crowd(50_100, 50_000).severity is Severity.GOOD
    assert machine.check_crowd(-1, 1_000_000).severity is Severity.GOOD
    finding = machine.check_crowd(1_024, 50_000)
    assert finding.is_bad
    assert "924 of 50,000" in finding.found
    assert "LimitNOFILE=50100" in finding.fix


def test_on_the_command_line_it_comes_after_the_set_up_and_decides_the_exit_code(
    room: Ready, tmp_path: Path
) -> None:
    here = ("doctor", "--bind", "127.0.0.1:0", "--data-dir", str(tmp_path), "--expected-crowd", "1")
    with running_gated_site(room.url) as site:
        admin(room, "PATCH", "/queues/demo", target_url=site.url)
        sound = run_wr(*here, "--origin", site.url)
        assert sound.exit_code == 0, sound.stdout
        assert "enough for 1 visitors" in sound.stdout
        here_at, there_at = (sound.stdout.index(head) for head in ("This machine", "The deployment"))
        assert here_at < sound.stdout.index("environment") < there_at < sound.stdout.index("entry")
        elsewhere = run_wr(*here, "--origin", site.url, "--url", room.url)
        crowded = [line for line in elsewhere.stdout.splitlines() if "enough for 1 visitors" in line]
        assert [line.startswith("✓ room's files") for line in crowded] == [True], "not of this machine"
        site.is_open = True
        assert run_wr(*here, "--origin", site.url, "--queue", "demo", "--url", room.url).exit_code == 1
    for nowhere in ("nowhere", "http://127.0.0.1:99999", "http://[bad"):
        assert run_wr(*here, "--origin", nowhere).exit_code == 2
    assert run_wr("health", "--url", "http://127.0.0.1:abc").exit_code == 2
