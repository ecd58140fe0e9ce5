"""`Idempotency-Key` on a join: the same join, tried again, finds its place."""

import secrets
import socket
import struct
from urllib.parse import urlsplit

import pytest

from tests.contract.helpers import assert_refused, stats_of
from tests.support.site import BASE, Site, new_address


def until_in_line(site: Site, queue_id: str, count: int) -> None:
    """Wait until so many are in line, without asking for any place: that would be a use of its token."""
    stats = f"/queues/{queue_id}/stats"
    site.wait_for(lambda: site.admin("GET", stats), lambda told: told.json()["current_waiting"] == count)


def join_and_hang_up(site: Site, queue_id: str, header: str, before: int) -> None:
    """Send a join over a connection that breaks before any of the answer is read."""
    at = urlsplit(site.url)
    with socket.create_connection((at.hostname, at.port)) as connection:
        connection.sendall(
            f"POST {BASE}/queues/{queue_id}/enqueue HTTP/1.1\r\nHost: {at.netloc}\r\n"
            f"X-Forwarded-For: {new_address()}\r\n{header}Content-Length: 0\r\n\r\n".encode()
        )
        until_in_line(site, queue_id, before + 1)
        # With an answer unread, this resets the connection.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def keyed(key: str) -> dict[str, dict[str, str]]:
    return {"headers": {"Idempotency-Key": key}}


def test_a_join_tried_again_with_its_key_is_200_with_the_same_place_from_any_address(site: Site) -> None:
    queue_id = site.make_queue(status="paused", unique_by="none")
    key = keyed(secrets.token_hex(16))
    first, again = site.join(queue_id, **key), site.join(queue_id, **key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["position_id"] == first.json()["position_id"]
    assert site.heartbeat(queue_id, again.json()["token"]).json()["position"] == 1
    assert site.join(queue_id).status_code == 201
    assert stats_of(site, queue_id)["current_waiting"] == 2


def test_a_key_gives_its_place_back_where_the_token_alone_does(site: Site) -> None:
    queue_id = site.make_queue(status="paused", unique_by="ip")
    key = keyed(secrets.token_hex(16))
    first = site.join(queue_id, address="198.51.100.77", **key)
    assert site.join(queue_id, address="198.51.100.77").status_code == 409
    again = site.join(queue_id, address="198.51.100.77", **key)
    assert again.json()["position_id"] == first.json()["position_id"]


def test_a_key_is_of_one_queue(site: Site) -> None:
    key = keyed(secrets.token_hex(16))
    here, there = (site.join(site.make_queue(status="paused"), **key) for _ in range(2))
    assert here.status_code == there.status_code == 201
    assert here.json()["position_id"] != there.json()["position_id"]


def test_a_key_with_another_wish_is_422(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    key = keyed(secrets.token_hex(16))
    site.join(queue_id, {"metadata": {"a": 1, "b": 2}}, **key)
    assert site.join(queue_id, {"metadata": {"b": 2, "a": 1}}, **key).status_code == 200
    refused = site.join(queue_id, {"metadata": {"a": 2}}, **key)
    assert_refused(refused, 422, "IDEMPOTENCY_KEY_REUSED")
    assert stats_of(site, queue_id)["current_waiting"] == 1


@pytest.mark.parametrize("key", ["", "too-short", "k" * 129, "no spaces in between"])
def test_a_key_that_is_no_key_is_400_and_takes_no_place(site: Site, key: str) -> None:
    queue_id = site.make_queue(status="paused")
    details = assert_refused(site.join(queue_id, **keyed(key)), 400, "INVALID_REQUEST")
    assert details == {"field": "Idempotency-Key"}
    assert stats_of(site, queue_id)["current_waiting"] == 0


def test_a_place_whose_token_is_never_used_is_gone_after_half_a_minute(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    ghost, asker = site.join(queue_id).json()["token"], site.join(queue_id).json()["token"]
    assert site.status(queue_id, asker).status_code == 200
    site.clock.advance(31)
    until_in_line(site, queue_id, 1)
    assert_refused(site.status(queue_id, ghost), 410, "POSITION_EXPIRED")
    assert site.status(queue_id, asker).json()["position"] == 1


def test_an_operator_is_told_of_no_heartbeat_before_the_join(site: Site) -> None:
    queue_id = site.make_queue(status="paused", heartbeat_interval_seconds=10, heartbeat_timeout_seconds=600)
    joined = site.join(queue_id).json()
    found = site.http.get(
        f"{BASE}/admin/positions/{joined['position_id']}", headers={"X-Admin-Key": site.admin_key}
    ).json()
    assert found["last_seen_at"] >= found["enqueued_at"], found


def test_joins_whose_answers_are_lost_are_one_place_each_when_tried_again_with_their_keys(site: Site) -> None:
    queue_id = site.make_queue(status="paused", unique_by="none")
    for before in range(5):
        key = secrets.token_hex(16)
        join_and_hang_up(site, queue_id, f"Idempotency-Key: {key}\r\n", before)
        again = site.join(queue_id, **keyed(key))
        assert (again.status_code, again.json()["position"]) == (200, before + 1)
    assert stats_of(site, queue_id)["current_waiting"] == 5


def test_joins_whose_answers_are_lost_without_keys_are_gone_after_half_a_minute(site: Site) -> None:
    queue_id = site.make_queue(status="paused", unique_by="none")
    for before in range(3):
        join_and_hang_up(site, queue_id, "", before)
    token = site.join(queue_id).json()["token"]
    assert site.heartbeat(queue_id, token).json()["position"] == 4
    site.clock.advance(31)
    until_in_line(site, queue_id, 1)
    assert site.heartbeat(queue_id, token).json()["position"] == 1
