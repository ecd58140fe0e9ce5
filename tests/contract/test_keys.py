"""Signing keys: published for origins, rotated, shared by all servers."""

from collections.abc import Iterable
from typing import Any

import jwt
import orjson
import pytest

from tests.contract.helpers import (
    activity_call,
    enter,
    kid_of,
    open_queue,
    seconds_of,
    session_call,
    tampered,
    waiting,
)
from tests.support.site import Site


def jwks_of(site: Site) -> list[dict[str, Any]]:
    response = site.http.get("/.well-known/jwks.json")
    assert response.status_code == 200
    body = response.json()
    assert set(body) == {"keys"}
    return list(body["keys"])


def verified(site: Site, token: str) -> dict[str, Any]:
    """Verify a session token as an origin would: with nothing but the published keys."""
    client = jwt.PyJWKClient(f"{site.url}/.well-known/jwks.json")
    key = client.get_signing_key_from_jwt(token)
    # The server's clock is ahead of ours, so the times are compared by hand.
    options: Any = {"verify_exp": False, "verify_iat": False}
    payload = jwt.decode(
        token, key.key, algorithms=["RS256"], audience="wr:session", issuer="wr", options=options
    )
    assert payload["iat"] <= site.clock() // 1000 < payload["exp"]
    return dict(payload)


def test_an_origin_can_verify_a_session_token_with_the_published_keys(site: Site) -> None:
    visit = enter(site, open_queue(site))
    payload = verified(site, visit.session_token)
    assert payload["sub"] == visit.session_id
    assert (payload["position_id"], payload["queue_id"]) == (visit.position_id, visit.queue_id)
    assert payload["typ"] == "session"
    # The token says whole seconds and is never over before the session.
    assert payload["exp"] - seconds_of(visit.admitted["session_expires_at"]) in (0, 1)
    assert jwt.get_unverified_header(visit.session_token)["alg"] == "RS256"


def test_an_origin_refuses_a_tampered_session_token(site: Site) -> None:
    visit = enter(site, open_queue(site))
    with pytest.raises(jwt.InvalidSignatureError):
        verified(site, tampered(visit.session_token, queue_id="vip"))


def test_a_position_token_is_signed_with_hs256_which_no_published_key_verifies(site: Site) -> None:
    token = waiting(site, site.make_queue(status="paused"))
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    with pytest.raises(jwt.PyJWKClientError):
        verified(site, token)


def test_nothing_secret_is_published(site: Site) -> None:
    published = jwks_of(site)
    assert published
    for key in published:
        assert set(key) == {"kty", "n", "e", "kid", "use", "alg"}
        assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256")
    listed = site.admin("GET", "/keys")
    assert listed.status_code == 200
    for entry in listed.json()["keys"]:
        assert set(entry) == {"kid", "purpose", "algorithm", "created_at", "active_at"}
    with site.engine.client() as client:
        stored: Any = client.hvals(f"{site.prefix}:{{*}}:signing_keys")
    for value in stored:
        secret = orjson.loads(value)["secret"]
        assert secret not in listed.text
        assert secret not in orjson.dumps(published).decode()


def rotate(site: Site) -> list[dict[str, Any]]:
    response = site.admin("POST", "/keys/rotate")
    assert response.status_code == 201
    return list(response.json()["keys"])


def kids(entries: Iterable[dict[str, Any]]) -> set[str]:
    return {entry["kid"] for entry in entries}


def test_rotation_makes_one_new_key_of_each_kind_and_lists_them_first(site: Site) -> None:
    before = kids(site.admin("GET", "/keys").json()["keys"])
    made = rotate(site)
    assert [(key["purpose"], key["algorithm"]) for key in made] == [
        ("position", "HS256"),
        ("session", "RS256"),
        ("pass", "HS256"),
    ]
    assert not kids(made) & before
    listed = site.admin("GET", "/keys").json()["keys"]
    assert kids(listed) == kids(made) | before
    assert kids(listed[:3]) == kids(made)
    for key in made:
        assert seconds_of(key["active_at"]) == seconds_of(key["created_at"]) + 5


def test_new_tokens_bear_the_new_key_five_seconds_after_the_rotation_and_the_old_one_until_then(
    site: Site,
) -> None:
    queue_id, paused = open_queue(site), site.make_queue(status="paused")
    old = {kid_of(waiting(site, paused)), kid_of(enter(site, queue_id).session_token)}
    new = {key["kid"] for key in rotate(site) if key["purpose"] != "pass"}
    assert {kid_of(waiting(site, paused)), kid_of(enter(site, queue_id).session_token)} == old
    assert new & kids(jwks_of(site)), "published before it signs"
    site.clock.advance(5.5)
    visit = enter(site, queue_id)
    assert {kid_of(waiting(site, paused)), kid_of(visit.session_token)} == new
    assert verified(site, visit.session_token)["sub"] == visit.session_id


def test_tokens_from_before_a_rotation_stay_valid(site: Site) -> None:
    paused = site.make_queue(status="paused", heartbeat_timeout_seconds=7200)
    token = waiting(site, paused)
    visit = enter(site, open_queue(site))
    for _ in range(2):
        rotate(site)
        site.clock.advance(6)
    assert site.status(paused, token).json()["position"] == 1
    assert site.heartbeat(paused, token).status_code == 200
    assert site.join(paused, token=token).status_code == 200
    assert session_call(site, visit).status_code == 200
    assert activity_call(site, visit).status_code == 200
    assert verified(site, visit.session_token)["sub"] == visit.session_id


def test_a_position_token_renewed_after_a_rotation_bears_the_new_key(site: Site) -> None:
    paused = site.make_queue(status="paused", heartbeat_timeout_seconds=7200)
    token = waiting(site, paused)
    new = {key["kid"] for key in rotate(site) if key["purpose"] != "pass"}
    site.clock.advance(16 * 60)
    renewed = site.heartbeat(paused, token).json()["token"]
    assert kid_of(renewed) in new
    assert site.status(paused, renewed).status_code == 200


def test_a_token_of_one_server_is_good_at_the_other_and_so_is_one_signed_after_a_rotation(
    site: Site, replica: Site
) -> None:
    paused = site.make_queue(status="paused")
    token = waiting(site, paused)
    assert replica.status(paused, token).json()["position"] == 1
    rotate(site)
    site.clock.advance(5.5)
    newer = waiting(site, paused)
    # The other server looks for keys it does not know at most once a second.
    response = replica.wait_for(lambda: replica.status(paused, newer), lambda r: r.status_code == 200, 3)
    assert response.json()["position"] == 2


def test_keys_that_no_living_token_can_name_are_forgotten_at_a_rotation(site: Site) -> None:
    first = kids(each for each in rotate(site) if each["purpose"] != "pass")
    site.clock.advance(9 * 24 * 3600)
    second = kids(rotate(site))
    site.clock.advance(60)
    assert first <= kids(site.admin("GET", "/keys").json()["keys"]), "it signed until a minute ago"
    site.clock.advance(9 * 24 * 3600)
    rotate(site)
    left = kids(site.admin("GET", "/keys").json()["keys"])
    assert not first & left
    assert second <= left
