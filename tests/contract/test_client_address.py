"""X-Forwarded-For: whom the server believes. The queue's rule `ip`, one place for each address, shows which
it took."""

from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import TEST_SETTINGS
from tests.contract.conftest import running_site
from tests.contract.helpers import enqueue_path, open_queue
from tests.support.site import Site

CLIENT = "203.0.113.7"


@pytest.fixture(scope="module")
def distrustful(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server on the same store that trusts no proxy we can be."""
    settings = {**TEST_SETTINGS, "trusted_proxies": "198.51.100.0/24"}
    with running_site(site.engine, site.prefix, site.clock, tmp_path_factory, **settings) as running:
        yield running


def join_by(site: Site, queue_id: str, *forwarded: str) -> httpx.Response:
    """Join with these X-Forwarded-For lines."""
    headers = [("X-Forwarded-For", line) for line in forwarded]
    return site.http.post(enqueue_path(queue_id), headers=headers)


@pytest.mark.parametrize(
    "forwarded",
    [
        ["6.6.6.6, 203.0.113.7"],
        ["6.6.6.6, 7.7.7.7, 203.0.113.7"],
        ["203.0.113.7, 127.0.0.1"],
        ["6.6.6.6,203.0.113.7 ,127.0.0.1, ::1"],
        ["6.6.6.6", "203.0.113.7"],
        ["203.0.113.7", "127.0.0.1"],
        ["::ffff:203.0.113.7"],
        ["nonsense, 203.0.113.7"],
        ["203.0.113.7:51234"],
        ['6.6.6.6:1, "203.0.113.7:443", 127.0.0.1:80, [::1]:80'],
    ],
)
def test_the_rightmost_untrusted_hop_is_the_client_and_what_stands_left_of_it_is_ignored(
    site: Site, forwarded: list[str]
) -> None:
    queue_id = site.make_queue(status="paused", unique_by="ip")
    assert join_by(site, queue_id, CLIENT).status_code == 201
    assert join_by(site, queue_id, *forwarded).status_code == 409


@pytest.mark.parametrize("forwarded", ["203.0.113.8", "203.0.113.7, 203.0.113.8", "::ffff:203.0.113.8"])
def test_another_rightmost_hop_is_another_client(site: Site, forwarded: str) -> None:
    queue_id = site.make_queue(status="paused", unique_by="ip")
    assert join_by(site, queue_id, CLIENT).status_code == 201
    assert join_by(site, queue_id, forwarded).status_code == 201


@pytest.mark.parametrize(
    "forwarded", ["", "nonsense", "203.0.113.7, nonsense", "999.1.1.1", "203.0.113.7:port"]
)
def test_a_hop_that_is_no_address_ends_the_walk_at_the_last_one_that_was(site: Site, forwarded: str) -> None:
    queue_id = site.make_queue(status="paused", unique_by="ip")
    assert join_by(site, queue_id).status_code == 201
    assert join_by(site, queue_id, forwarded).status_code == 409


def test_a_peer_that_is_no_trusted_proxy_is_the_client_whatever_it_claims(distrustful: Site) -> None:
    queue_id = distrustful.make_queue(status="paused", unique_by="ip")
    codes = [join_by(distrustful, queue_id, claimed).status_code for claimed in (CLIENT, "6.6.6.6")]
    assert codes == [201, 409]


def test_a_header_that_pretends_to_be_the_connection_is_not_believed(distrustful: Site) -> None:
    queue_id = distrustful.make_queue(status="paused", unique_by="ip")
    first = distrustful.http.post(enqueue_path(queue_id), headers={"Remote-Addr": CLIENT})
    second = distrustful.http.post(enqueue_path(queue_id), headers={"Remote-Addr": "6.6.6.6"})
    assert (first.status_code, second.status_code) == (201, 409)


def test_whoever_asks_about_a_queue_learns_whether_its_proxy_is_believed(
    site: Site, distrustful: Site
) -> None:
    queue_id = open_queue(site)

    def told(server: Site, **headers: str) -> str:
        asking = {"X-WR-Forwarded": "?", **headers}
        answer = server.http.get(f"/api/v1/queues/{queue_id}", headers=asking)
        assert answer.headers["Cache-Control"] == "no-store", "it is not the same for all"
        return answer.headers["X-WR-Forwarded"]

    assert told(site) == told(distrustful) == "none"
    assert told(site, **{"X-Forwarded-For": CLIENT}) == "believed"
    assert told(site, **{"X-Forwarded-For": f"6.6.6.6, {CLIENT}"}) == "partly"
    assert told(distrustful, **{"X-Forwarded-For": CLIENT}) == "ignored"
