"""GET /wait/{queue_id} as it goes over the wire; what people see of it: tests/browser."""

import base64
import hashlib
import re

import httpx
import pytest

from tests.contract.conftest import Stranded
from tests.support import plain_http
from tests.support.site import Site

pytestmark = pytest.mark.any_engine

WORKS = "{{ head }}{{ room }}"


def policy_of(response: httpx.Response) -> dict[str, str]:
    parts = response.headers["Content-Security-Policy"].split(";")
    return dict(part.strip().split(" ", 1) for part in parts)


def page(site: Site, queue_id: str, query: str = "", **headers: str) -> httpx.Response:
    return plain_http.get(f"{site.url}/wait/{queue_id}{query}", headers=headers)


@pytest.mark.parametrize("query", ["", "?plain=1"])
def test_the_page_may_load_nothing_but_itself(site: Site, query: str) -> None:
    response = page(site, site.make_queue(status="paused"), query)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert policy_of(response) == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert "http://" not in response.text
    assert "https://" not in response.text


def test_a_logo_and_colors_are_all_that_the_policy_opens_for_them(site: Site) -> None:
    queue_id = site.make_queue(
        logo_url="https://user@cdn.example:8443/logo.png", accent_color="#123456", background_color="#fedcba"
    )
    response = page(site, queue_id)
    policy = policy_of(response)
    assert policy["img-src"] == "'self' data: https://cdn.example:8443"
    (style,) = re.findall(r"<style>(.*?)</style>", response.text)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy["style-src"] == f"'self' 'sha256-{digest}'"
    assert "#123456" in style
    assert "#fedcba" in style


def test_the_page_is_asked_for_again_each_time_and_sent_only_when_it_has_changed(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    first = page(site, queue_id)
    assert first.headers["Cache-Control"] == "no-cache"
    tag = first.headers["ETag"]
    assert page(site, queue_id, **{"If-None-Match": tag}).status_code == 304
    assert page(site, queue_id, **{"If-None-Match": tag, "Accept-Language": "de"}).status_code == 200
    site.admin("PATCH", f"/queues/{queue_id}", {"message": "Doors open at 10."})
    changed = page(site, queue_id, **{"If-None-Match": tag})
    assert changed.status_code == 200
    assert "Doors open at 10." in changed.text


def test_the_page_takes_no_place_by_itself(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    response = page(site, queue_id)
    assert "set-cookie" not in response.headers
    assert site.admin("GET", f"/queues/{queue_id}/stats").json()["current_waiting"] == 0


@pytest.mark.parametrize("field", ["name", "message"])
def test_what_an_operator_says_cannot_become_part_of_the_page(site: Site, field: str) -> None:
    evil = "</script><script>alert(1)</script>{{ 7 * 141093 }}<!--"
    queue_id = site.make_queue(**{field: evil})
    for query in ("", "?plain=1"):
        text = page(site, queue_id, query).text
        assert "<script>alert" not in text
        assert "987651" not in text


@pytest.mark.parametrize("queue_id", ["no-such-queue", "%3Cscript%3E", "a%20b", "x" * 65])
def test_an_unknown_line_is_a_page_with_404(site: Site, queue_id: str) -> None:
    response = page(site, queue_id, "", **{"Accept-Language": "fr"})
    assert (response.status_code, response.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert "Cette file n’existe pas" in response.text
    assert "<script" not in response.text


def test_while_the_store_is_away_the_page_is_there_and_who_has_no_script_is_told(stranded: Stranded) -> None:
    scripted = page(stranded.site, stranded.queue_id)
    assert scripted.status_code == 200
    plain = page(stranded.site, stranded.queue_id, "?plain=1")
    assert plain.status_code == 503
    assert 20 <= int(plain.headers["Refresh"]) <= 40
    assert "The waiting room cannot be reached right now" in plain.text
    assert page(stranded.site, "not-known-yet").status_code == 503


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ head }}{{ room }}{% if %}", "line 1"),
        (WORKS + "{{ nobody }}", "undefined"),
        (WORKS + "{{ 1 / 0 }}", "ZeroDivisionError"),
        (WORKS + "{{ ''.__class__.__mro__ }}", "unsafe"),
        (WORKS + "{{ text.__globals__ }}", "unsafe"),
        (WORKS + "{% for i in range(100001) %}{% endfor %}", "Range too big"),
        (WORKS + "{{ 'x' * 300000 }}", "longer than"),
        (WORKS + "{% set x = 'x' * (10 ** 10) %}", "too much memory"),
        (
            WORKS + "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            "too long",
        ),
        (WORKS + "{% if language.code == 'ja' %}{{ nobody }}{% endif %}", "undefined"),
        (WORKS + "{% if has_place %}{{ '\\ud800' }}{% endif %}", "surrogates"),
        ("{{ head }}", "room"),
        ("{{ room }}", "head"),
        (WORKS + "{% include 'waiting' %}", "no loader"),
        (WORKS + "{% if state.name == 'full' %}{{ nobody }}{% endif %}", "undefined"),
    ],
)
def test_a_template_that_cannot_work_is_refused_when_it_is_set(site: Site, template: str, why: str) -> None:
    queue_id = site.make_queue()
    before = page(site, queue_id).text
    created = site.admin(
        "POST", "/queues", {"id": "never", "target_url": "https://a.example/", "page_template": template}
    )
    changed = site.admin("PATCH", f"/queues/{queue_id}", {"page_template": template})
    for response in (created, changed):
        assert response.status_code == 400
        error = response.json()["error"]
        assert error["details"] == {"field": "page_template"}
        assert why.lower() in error["message"].lower()
    assert page(site, queue_id).text == before


def test_a_template_may_style_itself_and_still_load_nothing(site: Site) -> None:
    template = "<style>h1 { color: red }</style><h2>{{ queue.name }}</h2>" + WORKS
    response = page(site, site.make_queue(name="Sale & more", page_template=template))
    assert "<h2>Sale &amp; more</h2>" in response.text
    assert policy_of(response)["style-src"] == "'self' 'unsafe-inline'"
    assert policy_of(response)["script-src"] == "'self'"


def test_the_way_back_from_leaving_is_a_page_that_does_not_join(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    with plain_http.client(base_url=site.url) as browser:
        joined = browser.get(f"/wait/{queue_id}?plain=1")
        assert f"wr-{queue_id}" in joined.cookies
        left = browser.post(f"/wait/{queue_id}/leave")
        assert (left.status_code, left.headers["Location"]) == (303, f"/wait/{queue_id}?plain=1&left=1")
        assert f"wr-{queue_id}" not in browser.cookies
        assert browser.get(left.headers["Location"]).status_code == 200
    assert site.admin("GET", f"/queues/{queue_id}/stats").json()["current_waiting"] == 0


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_no_other_site_can_have_a_visitor_leave(site: Site, headers: dict[str, str]) -> None:
    queue_id = site.make_queue(status="paused")
    with plain_http.client(base_url=site.url) as browser:
        browser.get(f"/wait/{queue_id}?plain=1")
        sent = browser.post(f"/wait/{queue_id}/leave", headers=headers)
        assert (sent.status_code, sent.headers["Location"]) == (303, f"/wait/{queue_id}?plain=1")
        assert "Set-Cookie" not in sent.headers
        assert 'id="position">1<' in browser.get(sent.headers["Location"]).text
    assert site.admin("GET", f"/queues/{queue_id}/stats").json()["current_waiting"] == 1


@pytest.mark.parametrize("wish", ["%E6%97%A5", "de%0d%0aX-Evil:1", "xx", "", "a" * 3000])
def test_a_language_that_there_is_not_is_overlooked(site: Site, wish: str) -> None:
    for query in (f"?lang={wish}", f"?plain=1&lang={wish}"):
        response = page(site, site.make_queue(), query)
        assert "wr_language" not in response.headers.get("Set-Cookie", "")
        assert '<html lang="en"' in response.text or response.status_code == 303


def test_who_waits_without_scripts_refreshes_in_time_however_short_that_is(site: Site) -> None:
    queue_id = site.make_queue(
        status="paused", unique_by="none", heartbeat_interval_seconds=1, heartbeat_timeout_seconds=2
    )
    seconds = {int(page(site, queue_id, "?plain=1").headers["Refresh"]) for _ in range(10)}
    assert seconds == {1}


def test_a_false_or_foreign_cookie_is_no_place(site: Site) -> None:
    queue_id, other = site.make_queue(status="paused"), site.make_queue(status="paused")
    foreign = site.join(other).json()["token"]
    for number, token in enumerate(("nonsense", foreign), start=1):
        response = plain_http.get(
            f"{site.url}/wait/{queue_id}?plain=1",
            cookies={f"wr-{queue_id}": token, f"wr_progress-{queue_id}": "9" * 50},
        )
        assert f'id="position">{number}<' in response.text


def test_the_qr_code_names_the_host_that_was_asked_or_the_public_one(site: Site) -> None:
    queue_id = site.make_queue()
    asked = plain_http.get(f"{site.url}/wait/{queue_id}/qr.svg")
    assert (asked.status_code, asked.headers["Content-Type"]) == (200, "image/svg+xml")
    https = plain_http.get(f"{site.url}/wait/{queue_id}/qr.svg", headers={"X-Forwarded-Proto": "https"})
    elsewhere = plain_http.get(f"{site.url}/wait/{queue_id}/qr.svg", headers={"Host": "wait.example"})
    assert len({asked.text, https.text, elsewhere.text}) == 3
    assert plain_http.get(f"{site.url}/wait/no-such-queue/qr.svg").status_code == 404
