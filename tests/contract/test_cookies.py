"""Places kept in cookies: what a page's script never holds, no other script can take."""

from http.cookies import SimpleCookie

import httpx
import pytest

from tests.contract.helpers import assert_refused, open_queue, waiting
from tests.support import plain_http
from tests.support.site import Site

IN_COOKIE = {"X-WR-Token": "cookie"}


def join(site: Site, queue_id: str, **headers: str) -> httpx.Response:
    return plain_http.post(f"{site.url}/api/v1/queues/{queue_id}/enqueue", headers={**IN_COOKIE, **headers})


def cookie_of(response: httpx.Response, queue_id: str) -> str:
    return SimpleCookie(response.headers["set-cookie"])[f"wr-{queue_id}"].value


@pytest.fixture
def queue_id(site: Site) -> str:
    return site.make_queue(status="paused", unique_by="none")


def test_who_asks_for_a_cookie_gets_the_token_there_and_nowhere_else(site: Site, queue_id: str) -> None:
    response = join(site, queue_id)
    assert response.status_code == 201
    assert "token" not in response.json()
    (cookie,) = SimpleCookie(response.headers["set-cookie"]).values()
    assert cookie.key == f"wr-{queue_id}"
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert cookie["max-age"] == str(1800 + 86_400)
    assert cookie["secure"] == ""
    assert cookie.value not in response.text


def test_who_does_not_ask_gets_no_cookie(site: Site, queue_id: str) -> None:
    response = plain_http.post(f"{site.url}/api/v1/queues/{queue_id}/enqueue")
    assert "set-cookie" not in response.headers
    assert response.json()["token"]


@pytest.mark.parametrize(("method", "path"), [("GET", "status"), ("POST", "heartbeat")])
def test_the_cookie_proves_the_place_where_the_client_says_that_it_keeps_one(
    site: Site, queue_id: str, method: str, path: str
) -> None:
    joined = join(site, queue_id)
    cookies = {f"wr-{queue_id}": cookie_of(joined, queue_id)}
    url = f"{site.url}/api/v1/queues/{queue_id}/{path}"
    response = plain_http.request(method, url, headers=IN_COOKIE, cookies=cookies)
    assert response.json()["position_id"] == joined.json()["position_id"]
    assert "token" not in response.json()
    assert cookie_of(response, queue_id) == cookies[f"wr-{queue_id}"]
    # A page of another site cannot send that header without leave; without it the cookie proves nothing.
    assert_refused(plain_http.request(method, url, cookies=cookies), 401, "UNAUTHORIZED")


def test_joining_again_with_the_cookie_is_200_with_the_same_place(site: Site, queue_id: str) -> None:
    first = join(site, queue_id)
    again = join(site, queue_id, Cookie=f"a=b; wr-{queue_id}={cookie_of(first, queue_id)}; c=d")
    assert (again.status_code, again.json()["position_id"]) == (200, first.json()["position_id"])


def test_the_cookie_of_one_queue_is_no_place_in_another(site: Site, queue_id: str) -> None:
    token = cookie_of(join(site, queue_id), queue_id)
    other = site.make_queue(status="paused", unique_by="none")
    url = f"{site.url}/api/v1/queues/{other}/status"
    for cookies in ({f"wr-{queue_id}": token}, {f"wr-{other}": token}):
        assert_refused(plain_http.get(url, headers=IN_COOKIE, cookies=cookies), 401, "UNAUTHORIZED")


def test_leaving_makes_the_browser_forget_the_place(site: Site, queue_id: str) -> None:
    cookies = {f"wr-{queue_id}": cookie_of(join(site, queue_id), queue_id)}
    url = f"{site.url}/api/v1/queues/{queue_id}/position"
    response = plain_http.delete(url, headers=IN_COOKIE, cookies=cookies)
    assert response.json()["status"] == "cancelled"
    (cookie,) = SimpleCookie(response.headers["set-cookie"]).values()
    assert (cookie.key, cookie.value, cookie["max-age"]) == (f"wr-{queue_id}", "", "0")


def test_the_cookie_is_secure_when_a_trusted_proxy_says_https(site: Site, queue_id: str) -> None:
    assert "; Secure" in join(site, queue_id, **{"X-Forwarded-Proto": "https"}).headers["set-cookie"]
    assert "; Secure" not in join(site, queue_id, **{"X-Forwarded-Proto": "http"}).headers["set-cookie"]


def test_who_is_let_in_is_told_the_way_and_keeps_the_place(site: Site) -> None:
    queue_id = open_queue(site)
    cookies = {f"wr-{queue_id}": waiting(site, queue_id)}
    site.admitted(queue_id, cookies[f"wr-{queue_id}"])
    url = f"{site.url}/api/v1/queues/{queue_id}/status"
    body = plain_http.get(url, headers=IN_COOKIE, cookies=cookies).json()
    assert (body["status"], bool(body["session_token"])) == ("admitted", True)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 401),
        ({"Sec-Fetch-Site": "same-site"}, 401),
        ({"Origin": "https://evil.example"}, 401),
    ],
)
def test_a_stream_is_opened_by_the_cookie_from_pages_of_this_site_only(
    site: Site, queue_id: str, headers: dict[str, str], status: int
) -> None:
    cookies = {f"wr-{queue_id}": waiting(site, queue_id)}
    url = f"{site.url}/api/v1/queues/{queue_id}/events"
    with plain_http.stream("GET", url, headers=headers, cookies=cookies) as response:
        assert response.status_code == status
