"""Pages of other sites: which may use the visitors' API from a browser, and what they get to see."""

from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import TEST_SETTINGS
from tests.contract.conftest import running_site
from tests.support import plain_http
from tests.support.site import BASE, Site

pytestmark = pytest.mark.any_engine

SHOP = "https://shop.example"


@pytest.fixture(scope="module")
def open_site(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server on the store of the usual one that shop.example may use."""
    settings = {**TEST_SETTINGS, "allowed_origins": f"{SHOP}, https://other.example:8443"}
    with running_site(site.engine, site.prefix, site.clock, tmp_path_factory, **settings) as running:
        yield running


def preflight(site: Site, path: str, origin: str = SHOP) -> httpx.Response:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    return httpx.options(f"{site.url}{path}", headers=headers)


@pytest.mark.parametrize("origin", [SHOP, "https://other.example:8443"])
def test_a_browser_that_asks_for_a_page_of_an_allowed_site_hears_yes(open_site: Site, origin: str) -> None:
    response = preflight(open_site, f"{BASE}/queues/any/enqueue", origin)
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["Access-Control-Allow-Origin"] == origin
    allowed = response.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"Authorization", "Content-Type", "X-WR-Pass", "X-WR-Token"} <= set(allowed)
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        (f"{BASE}/queues/any/enqueue", "https://evil.example"),
        (f"{BASE}/queues/any/enqueue", "https://shop.example.evil.example"),
        (f"{BASE}/queues/any/enqueue", "null"),
        (f"{BASE}/admin/queues", SHOP),
    ],
)
def test_no_other_page_may_ask_and_none_may_use_the_admin_api(
    open_site: Site, path: str, origin: str
) -> None:
    response = preflight(open_site, path, origin)
    assert response.status_code == 405
    assert "Access-Control-Allow-Origin" not in response.headers


def test_answers_and_refusals_can_be_read_by_the_page_that_may_ask(open_site: Site) -> None:
    queue_id = open_site.make_queue(status="paused")
    for method, path, status in (
        ("POST", "enqueue", 201),
        ("GET", "status", 401),
        ("GET", "events", 401),
        ("GET", "nothing", 404),
    ):
        response = open_site.call(method, f"/queues/{queue_id}/{path}", headers={"Origin": SHOP})
        assert response.status_code == status
        assert response.headers["Access-Control-Allow-Origin"] == SHOP
        assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]
        assert response.headers["Vary"] == "Origin"
    stranger = open_site.call("GET", f"/queues/{queue_id}", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in stranger.headers


def test_the_second_api_is_open_to_the_same_pages(open_site: Site) -> None:
    concert_id = 7_000_001
    open_site.make_queue(id=f"concert-{concert_id}", status="paused")
    path = "/waiting-queue"
    assert preflight(open_site, f"{BASE}{path}/join").status_code == 204
    user, origin = {"userId": 1, "concertId": concert_id}, {"Origin": SHOP}
    answers = [
        open_site.call("POST", f"{path}/join", json=user, headers=origin),
        open_site.call("GET", f"{path}/status", params=user, headers=origin),
        open_site.call("GET", f"{path}/status", headers=origin),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 400]
    assert {answer.headers["Access-Control-Allow-Origin"] for answer in answers} == {SHOP}
    url = f"{open_site.url}{BASE}{path}/subscribe"
    with plain_http.stream("GET", url, params=user, headers=origin) as stream:
        assert stream.headers["Access-Control-Allow-Origin"] == SHOP
    stranger = {"Origin": "https://evil.example"}
    refused = open_site.call("GET", f"{path}/status", params=user, headers=stranger)
    assert "Access-Control-Allow-Origin" not in refused.headers
    assert preflight(open_site, f"{BASE}{path}/join", "https://evil.example").status_code == 405


def test_a_live_stream_can_be_read_too(open_site: Site) -> None:
    queue_id = open_site.make_queue(status="paused")
    token = open_site.join(queue_id).json()["token"]
    headers = {"Origin": SHOP, "Authorization": f"Bearer {token}"}
    url = f"{open_site.url}{BASE}/queues/{queue_id}/events"
    with plain_http.stream("GET", url, headers=headers) as stream:
        assert stream.status_code == 200
        assert stream.headers["Access-Control-Allow-Origin"] == SHOP


def test_a_server_that_names_no_site_lets_none_ask(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    assert preflight(site, f"{BASE}/queues/{queue_id}/enqueue").status_code == 405
    response = site.call("GET", f"/queues/{queue_id}", headers={"Origin": SHOP})
    assert not {"Access-Control-Allow-Origin", "Vary"} & set(response.headers)


def test_the_module_and_its_types_may_be_loaded_from_anywhere(site: Site) -> None:
    for path, kind in (("/wr.js", "text/javascript"), ("/wr.d.ts", "text/plain")):
        response = site.http.get(path)
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith(kind)
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert 'export const version = "' in site.http.get("/wr.js").text
