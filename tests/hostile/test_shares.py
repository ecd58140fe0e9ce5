"""One visitor or address takes no more than its share: of the second API, of places, joins and guesses."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest

from tests.contract.conftest import running_site
from tests.contract.helpers import assert_refused, fresh_minute, stats_of, wait_until
from tests.hostile.conftest import ORIGIN_KEY
from tests.support.clock import HandClock
from tests.support.engines import Engine
from tests.support.passes import site_pass
from tests.support.site import BASE, Site, new_address

WRONG = "a-guess-of-the-key"


def concert(site: Site, **settings: Any) -> int:
    """Make a concert's queue that lets nobody in; returns the concert's number."""
    number = secrets.randbelow(10**9) + 1
    site.make_queue(id=f"concert-{number}", **{"status": "paused", **settings})
    return number


def join_concert(site: Site, concert_id: int, user_id: int, address: str, **headers: str) -> httpx.Response:
    named = {"X-Forwarded-For": address, **{name.replace("_", "-"): text for name, text in headers.items()}}
    user = {"userId": user_id, "concertId": concert_id}
    return site.call("POST", "/waiting-queue/join", json=user, headers=named)


def concert_status(site: Site, concert_id: int, user_id: int, address: str) -> httpx.Response:
    path = f"/waiting-queue/status?userId={user_id}&concertId={concert_id}"
    return site.call("GET", path, headers={"X-Forwarded-For": address})


@contextmanager
def subscribed(site: Site, concert_id: int, user_id: int, address: str) -> Iterator[Iterator[str]]:
    """Follow a user's rank; gives the lines as they come, the answer's status first."""
    path = f"{BASE}/waiting-queue/subscribe?userId={user_id}&concertId={concert_id}"
    with site.http.stream("GET", path, headers={"X-Forwarded-For": address}) as answer:

        def lines() -> Iterator[str]:
            yield str(answer.status_code)
            yield from answer.iter_lines()

        yield lines()


def opened(lines: Iterator[str]) -> Iterator[str]:
    """Read a stream until its first rank; returns what follows."""
    assert next(lines) == "200"
    for line in lines:
        if line.startswith("event:RANK_UPDATE"):
            return lines
    raise AssertionError("the stream ended before it told a rank")


# ------------------------------------------------------------------ the second API


def test_one_address_puts_few_users_in_a_line_of_the_second_api(strict: Site) -> None:
    concert_id, address = concert(strict), new_address()
    codes = [join_concert(strict, concert_id, user, address).status_code for user in range(1, 41)]
    assert codes == [200] * 10 + [429] * 30
    assert stats_of(strict, f"concert-{concert_id}")["current_waiting"] == 10


def test_the_sites_own_backend_is_bounded_by_the_queue_alone(strict: Site) -> None:
    concert_id, address = concert(strict, max_places_per_address=5), new_address()
    answers = [
        join_concert(strict, concert_id, user, address, X_WR_Origin_Key=ORIGIN_KEY) for user in range(1, 41)
    ]
    assert [answer.status_code for answer in answers] == [200] * 40
    assert answers[-1].json()["rank"] == 40


def test_a_client_of_the_second_apis_document_works_unchanged(strict: Site) -> None:
    concert_id, address = concert(strict), new_address()
    joined = join_concert(strict, concert_id, 100, address)
    assert joined.json() == {"userId": 100, "concertId": concert_id, "status": "WAITING", "rank": 1}
    assert concert_status(strict, concert_id, 100, address).json() == {"status": "WAITING", "rank": 1}
    with subscribed(strict, concert_id, 100, address) as lines:
        opened(lines)


def test_an_address_asks_no_more_often_than_its_limit_however_many_users_it_names(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    prefix = f"wr-hostile-{secrets.token_hex(4)}"
    with running_site(engine, prefix, HandClock(), tmp_path_factory, limit_caller="20/60") as site:
        fresh_minute(site.clock)
        concert_id, address = concert(site), new_address()
        codes = [concert_status(site, concert_id, user, address).status_code for user in range(1, 31)]
        assert codes == [200] * 20 + [429] * 10
        assert concert_status(site, concert_id, 1, new_address()).status_code == 200


def test_a_stranger_ends_no_stream_of_another_user_and_keeps_none_from_opening(strict: Site) -> None:
    concert_id, home = concert(strict), new_address()
    join_concert(strict, concert_id, 5, home)
    with subscribed(strict, concert_id, 5, home) as lines:
        mine = opened(lines)
        stranger = new_address()
        for _ in range(4):
            with subscribed(strict, concert_id, 5, stranger) as others:
                opened(others)
        # Something happens in the line, and the stream of before tells of it.
        ahead = join_concert(strict, concert_id, 6, new_address(), X_WR_Origin_Key=ORIGIN_KEY)
        assert ahead.json()["rank"] == 2
        strict.admin("POST", f"/queues/concert-{concert_id}/flush")
        assert any('"status":"NONE"' in line for line in mine)


def test_one_ipv6_network_holds_two_streams_of_a_user_and_keeps_no_other_out(strict: Site) -> None:
    concert_id = concert(strict)
    join_concert(strict, concert_id, 7, new_address())
    with ExitStack() as stack:
        kept = [
            opened(stack.enter_context(subscribed(strict, concert_id, 7, f"2001:db8:9::{host}")))
            for host in range(1, 4)
        ]
        assert not any(line.startswith("event:") for line in kept[0]), "it ended, and told nothing more"
        with subscribed(strict, concert_id, 7, new_address()) as lines:
            opened(lines)


def test_strangers_that_ask_for_a_user_keep_the_user_from_no_answer(strict: Site) -> None:
    concert_id, home, stranger = concert(strict), new_address(), new_address()
    join_concert(strict, concert_id, 5, home)
    asked = [concert_status(strict, concert_id, 5, stranger).status_code for _ in range(62)]
    assert asked == [200] * 60 + [429] * 2
    assert concert_status(strict, concert_id, 5, home).json() == {"status": "WAITING", "rank": 1}


# ------------------------------------------------------------------ places and joins of one address


def test_one_address_holds_so_many_places_and_no_more_until_one_is_free(strict: Site) -> None:
    queue_id = strict.make_queue(status="paused", max_places_per_address=3, unique_by="none")
    address = new_address()
    joined = [strict.join(queue_id, address=address) for _ in range(5)]
    assert [answer.status_code for answer in joined] == [201] * 3 + [429] * 2
    assert assert_refused(joined[3], 429, "TOO_MANY_PLACES") == {"most": 3}
    assert int(joined[3].headers["Retry-After"]) > 0
    assert strict.join(queue_id, address=new_address()).status_code == 201
    strict.call("DELETE", f"/queues/{queue_id}/position", joined[0].json()["token"])
    assert strict.join(queue_id, address=address).status_code == 201


def test_neighbours_in_one_ipv6_network_count_as_one(strict: Site) -> None:
    queue_id = strict.make_queue(status="paused", max_places_per_address=2, unique_by="none")
    network = f"2001:db8:{secrets.randbelow(9000) + 1000}:1"
    codes = [strict.join(queue_id, address=f"{network}::{host}").status_code for host in (1, 2, 3)]
    assert codes == [201, 201, 429]


def test_places_that_were_let_in_or_dropped_or_flushed_count_no_more(strict: Site) -> None:
    queue_id = strict.make_queue(
        status="paused", max_places_per_address=2, unique_by="none", admission_rate=1000
    )
    address = new_address()

    def fill() -> list[int]:
        fresh_minute(strict.clock)
        return [strict.join(queue_id, address=address).status_code for _ in range(3)]

    def emptied() -> bool:
        return bool(stats_of(strict, queue_id)["current_waiting"] == 0)

    assert fill() == [201, 201, 429]
    strict.admin("PATCH", f"/queues/{queue_id}", {"status": "active"})
    wait_until(emptied)
    strict.admin("PATCH", f"/queues/{queue_id}", {"status": "paused"})
    assert fill() == [201, 201, 429]
    strict.clock.advance(61)
    wait_until(emptied)
    assert fill() == [201, 201, 429]
    assert strict.admin("POST", f"/queues/{queue_id}/flush").json()["flushed"] == 2
    assert fill() == [201, 201, 429]


def test_the_cap_on_places_is_exact_when_all_ask_at_once(strict: Site) -> None:
    queue_id = strict.make_queue(status="paused", max_places_per_address=4, unique_by="none")
    address = new_address()
    with ThreadPoolExecutor(10) as pool:
        codes = list(pool.map(lambda _: strict.join(queue_id, address=address).status_code, range(10)))
    assert sorted(codes) == [201] * 4 + [429] * 6


def test_visitors_with_a_pass_are_not_counted(strict: Site) -> None:
    queue_id = strict.make_queue(status="paused", max_places_per_address=1)
    address = new_address()
    codes = [
        strict.join(
            queue_id,
            address=address,
            headers={"X-WR-Pass": site_pass(strict.clock(), queue_id, f"v{number}")},
        ).status_code
        for number in range(4)
    ]
    assert codes == [201] * 4
    assert strict.join(queue_id, address=address).status_code == 201


def test_the_join_limit_is_of_an_address_over_all_queues(strict: Site) -> None:
    queues = [strict.make_queue(status="paused", unique_by="none") for _ in range(4)]
    address = new_address()
    codes = [strict.join(queues[number % 4], address=address).status_code for number in range(12)]
    assert codes == [201] * 10 + [429] * 2
    assert strict.join(queues[0], address=new_address()).status_code == 201


def test_who_has_looked_too_often_can_still_leave(strict: Site) -> None:
    queue_id = strict.make_queue(status="paused")
    token = strict.join(queue_id).json()["token"]
    codes = {strict.status(queue_id, token).status_code for _ in range(61)}
    assert codes == {200, 429}
    assert strict.call("DELETE", f"/queues/{queue_id}/position", token).status_code == 200


# ------------------------------------------------------------------ guessing


def guess_admin(site: Site, address: str, key: str) -> httpx.Response:
    headers = {"X-Admin-Key": key, "X-Forwarded-For": address}
    return site.http.get(f"{BASE}/admin/queues", headers=headers)


def test_after_too_many_wrong_admin_keys_not_even_the_right_one_is_listened_to(strict: Site) -> None:
    address = new_address()
    codes = [guess_admin(strict, address, f"{WRONG}-{number}").status_code for number in range(15)]
    assert codes == [403] * 10 + [429] * 5
    assert_refused(guess_admin(strict, address, strict.admin_key), 429, "RATE_LIMITED")
    assert guess_admin(strict, new_address(), strict.admin_key).status_code == 200
    fresh_minute(strict.clock)
    assert guess_admin(strict, address, strict.admin_key).status_code == 200


def test_guesses_that_all_come_at_once_are_counted_all_the_same(strict: Site) -> None:
    address = new_address()
    keys = [f"{WRONG}-{number}" for number in range(39)] + [strict.admin_key]
    with ThreadPoolExecutor(20) as pool:
        codes = list(pool.map(lambda key: guess_admin(strict, address, key).status_code, keys))
    assert codes.count(403) == 10
    assert codes[-1] in (200, 429)


@pytest.mark.parametrize("what", ["origin key", "pass", "admin key at the gate", "key of a join"])
def test_every_kind_of_wrong_key_counts_as_a_guess_of_its_address(strict: Site, what: str) -> None:
    queue_id, address = strict.make_queue(status="paused"), new_address()
    sent = {"X-Forwarded-For": address}
    false_pass = site_pass(strict.clock(), queue_id, "ada", secret=secrets.token_hex(32))

    def guess() -> httpx.Response:
        if what == "pass":
            return strict.join(queue_id, address=address, headers={"X-WR-Pass": false_pass})
        name = "X-WR-Origin-Key" if what != "admin key at the gate" else "X-Admin-Key"
        if what == "key of a join":
            return strict.join(queue_id, address=address, headers={name: WRONG})
        path = f"{BASE}/sessions/{secrets.token_hex(8)}/commands"
        return strict.http.post(path, headers={**sent, name: WRONG}, json={"command": "end"})

    assert [guess().status_code for _ in range(10)] == [403] * 10
    assert guess().status_code == 429
    # Visitors with false passes keep no operator out that comes from the same address.
    operator = guess_admin(strict, address, strict.admin_key)
    assert operator.status_code == (200 if what == "pass" else 429)


def test_a_reader_of_metrics_has_no_more_guesses(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    prefix, token = f"wr-hostile-{secrets.token_hex(4)}", "the-token-of-the-reader"
    with running_site(engine, prefix, HandClock(), tmp_path_factory, metrics_token=token) as site:
        fresh_minute(site.clock)

        def read(bearer: str) -> int:
            return site.http.get("/metrics", headers={"Authorization": f"Bearer {bearer}"}).status_code

        assert read(token) == 200
        assert [read(WRONG) for _ in range(12)] == [401] * 10 + [429] * 2
        assert read(token) == 429
