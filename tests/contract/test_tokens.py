"""Tokens: which are believed, and which get 401 or 410."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.contract.helpers import (
    Visit,
    activity_call,
    assert_refused,
    b64,
    claims_of,
    enter,
    key_ring,
    kid_of,
    open_queue,
    position_token,
    seconds_of,
    session_call,
    session_token,
    stats_of,
    tampered,
    waiting,
)
from tests.support.site import Site, new_address
from wr.model.queue_settings import WEEK_S
from wr.model.signing import Purpose

OTHER_AUDIENCE = {Purpose.POSITION: "wr:session", Purpose.SESSION: "wr:position"}
FOREIGN_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def by_hand(header: dict[str, Any], payload: dict[str, Any], secret: bytes = b"", digest: Any = None) -> str:
    """Put a token together without a library that would refuse to make a bad one."""
    signed = f"{b64(orjson.dumps(header))}.{b64(orjson.dumps(payload))}"
    signature = b64(hmac.new(secret, signed.encode(), digest).digest()) if digest else ""
    return f"{signed}.{signature}"


def without(payload: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in payload.items() if key != name}


def signed_truly(site: Site, purpose: Purpose, payload: dict[str, Any], **header: Any) -> str:
    """Sign anything with the real key."""
    loaded = key_ring(site).signing(purpose, site.clock())
    headers = {"kid": loaded.key.kid, **header}
    return jwt.encode(payload, loaded.signer, algorithm=loaded.key.algorithm, headers=headers)


def secret_of(site: Site, purpose: Purpose) -> Any:
    return key_ring(site).signing(purpose, site.clock())


def public_pem(site: Site) -> bytes:
    public = secret_of(site, Purpose.SESSION).verifier
    return bytes(
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def raw_id(token: str) -> bytes:
    return bytes.fromhex(claims_of(token)["sub"].replace("-", ""))


# From a good token of either kind, a bad one.
Forge = Callable[[Site, str, Purpose], str]
FORGERIES: dict[str, Forge] = {
    "not a token": lambda site, token, purpose: "nonsense",
    "three dots of nothing": lambda site, token, purpose: "..",
    "not base64": lambda site, token, purpose: "!!.??.**",
    "header is no object": lambda site, token, purpose: f"{b64(b'[1]')}.{b64(b'{}')}.{b64(b'x')}",
    "very long": lambda site, token, purpose: token + "A" * 5000,
    "cut short": lambda site, token, purpose: token[:-10],
    "signature removed": lambda site, token, purpose: token.rpartition(".")[0] + ".",
    "unsigned: none": lambda site, token, purpose: by_hand(
        {"alg": "none", "kid": kid_of(token)}, claims_of(token)
    ),
    "unsigned: NoNe": lambda site, token, purpose: by_hand(
        {"alg": "NoNe", "kid": kid_of(token)}, claims_of(token)
    ),
    "no key id": lambda site, token, purpose: by_hand(
        {"alg": "HS256"}, claims_of(token), b"k" * 32, hashlib.sha256
    ),
    "unknown key id": lambda site, token, purpose: signed_truly(
        site, purpose, claims_of(token), kid="session-000000000000"
    ),
    "key id that is no text": lambda site, token, purpose: by_hand(
        {"alg": "HS256", "kid": ["x"]}, claims_of(token), b"k" * 32, hashlib.sha256
    ),
    "another secret": lambda site, token, purpose: by_hand(
        {"alg": "HS256", "kid": kid_of(token)}, claims_of(token), b"k" * 32, hashlib.sha256
    ),
    "an empty secret": lambda site, token, purpose: by_hand(
        {"alg": "HS256", "kid": kid_of(token)}, claims_of(token), b"", hashlib.sha256
    ),
    "another RSA key": lambda site, token, purpose: jwt.encode(
        claims_of(token), FOREIGN_RSA, algorithm="RS256", headers={"kid": kid_of(token)}
    ),
    "public key as secret": lambda site, token, purpose: by_hand(
        {"alg": "HS256", "kid": kid_of(token)}, claims_of(token), public_pem(site), hashlib.sha256
    ),
    "public key as secret, under its own id": lambda site, token, purpose: by_hand(
        {"alg": "HS256", "kid": secret_of(site, Purpose.SESSION).key.kid},
        claims_of(token),
        public_pem(site),
        hashlib.sha256,
    ),
    "right secret, other algorithm": lambda site, token, purpose: by_hand(
        {"alg": "HS512", "kid": kid_of(token)},
        claims_of(token),
        secret_of(site, Purpose.POSITION).signer,
        hashlib.sha512,
    ),
    "tampered subject": lambda site, token, purpose: tampered(
        token, sub=claims_of(token)["sub"].replace("-4", "-5").replace("-8", "-9")
    ),
    "tampered time": lambda site, token, purpose: tampered(token, exp=claims_of(token)["exp"] + 1),
    "other audience": lambda site, token, purpose: signed_truly(
        site, purpose, {**claims_of(token), "aud": "somebody else"}
    ),
    "audience of the other kind": lambda site, token, purpose: signed_truly(
        site, purpose, {**claims_of(token), "aud": OTHER_AUDIENCE[purpose]}
    ),
    "other issuer": lambda site, token, purpose: signed_truly(
        site, purpose, {**claims_of(token), "iss": "somebody else"}
    ),
    "other type": lambda site, token, purpose: signed_truly(
        site, purpose, {**claims_of(token), "typ": "other"}
    ),
    "no end": lambda site, token, purpose: signed_truly(site, purpose, without(claims_of(token), "exp")),
    "no subject": lambda site, token, purpose: signed_truly(site, purpose, without(claims_of(token), "sub")),
    "no audience": lambda site, token, purpose: signed_truly(site, purpose, without(claims_of(token), "aud")),
}
forgeries = pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())


POSITION_ROUTES = [("GET", "status"), ("POST", "heartbeat"), ("DELETE", "position")]
position_routes = pytest.mark.parametrize(("method", "last"), POSITION_ROUTES)


@pytest.fixture(scope="module")
def in_line(site: Site) -> tuple[str, str]:
    """A queue and the token of the first in its line; nothing in this module may change that."""
    queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=WEEK_S)
    token = waiting(site, queue_id)
    for each in (token, waiting(site, queue_id)):
        site.heartbeat(queue_id, each)
    return queue_id, token


@pytest.fixture(scope="module")
def inside(site: Site) -> Visit:
    """Somebody let in; nothing in this module may change that."""
    return enter(site, open_queue(site, session_timeout_seconds=WEEK_S))


def ask(site: Site, method: str, path: str, token: str) -> httpx.Response:
    """Ask from an address of one's own: false tokens count against the address they come from."""
    return site.call(method, path, token, headers={"X-Forwarded-For": new_address()})


@pytest.mark.any_engine
@forgeries
def test_a_forged_position_token_is_401_and_the_place_is_untouched(
    site: Site, in_line: tuple[str, str], forge: Forge
) -> None:
    queue_id, token = in_line
    forged = forge(site, token, Purpose.POSITION)
    for method, last in POSITION_ROUTES:
        assert_refused(ask(site, method, f"/queues/{queue_id}/{last}", forged), 401, "UNAUTHORIZED")
    assert site.status(queue_id, position_token(site, queue_id, raw_id(token))).json()["position"] == 1


@pytest.mark.any_engine
@forgeries
def test_a_forged_position_token_gets_no_place_back(
    site: Site, in_line: tuple[str, str], forge: Forge
) -> None:
    queue_id, token = in_line
    joined = site.join(queue_id, token=forge(site, token, Purpose.POSITION))
    assert joined.status_code == 201
    assert joined.json()["position_id"] != claims_of(token)["sub"]


@pytest.mark.any_engine
@forgeries
def test_a_forged_session_token_is_401_and_the_session_is_untouched(
    site: Site, inside: Visit, forge: Forge
) -> None:
    forged = forge(site, inside.session_token, Purpose.SESSION)
    assert_refused(session_call(site, inside, forged), 401, "UNAUTHORIZED")
    assert_refused(activity_call(site, inside, {"action": "page_view"}, token=forged), 401, "UNAUTHORIZED")
    assert session_call(site, inside).json()["page_views"] == 0


@position_routes
def test_a_position_token_of_another_queue_is_401_in_this_one(site: Site, method: str, last: str) -> None:
    here, there = site.make_queue(status="paused"), site.make_queue(status="paused")
    waiting(site, here)
    token = waiting(site, there)
    for given in (token, position_token(site, there, lasts_s=-1)):
        assert_refused(ask(site, method, f"/queues/{here}/{last}", given), 401, "UNAUTHORIZED")
    assert [stats_of(site, queue_id)["current_waiting"] for queue_id in (here, there)] == [1, 1]


@position_routes
def test_a_session_token_is_no_position_token(site: Site, method: str, last: str) -> None:
    visit = enter(site, open_queue(site))
    response = ask(site, method, f"/queues/{visit.queue_id}/{last}", visit.session_token)
    assert_refused(response, 401, "UNAUTHORIZED")
    assert session_call(site, visit).status_code == 200


def test_a_position_token_is_no_session_token(site: Site) -> None:
    visit = enter(site, open_queue(site))
    assert_refused(session_call(site, visit, visit.token), 401, "UNAUTHORIZED")
    assert_refused(activity_call(site, visit, token=visit.token), 401, "UNAUTHORIZED")


def test_the_key_of_one_kind_of_token_signs_no_other_kind(site: Site) -> None:
    visit = enter(site, open_queue(site))
    as_position = signed_truly(site, Purpose.SESSION, claims_of(visit.token))
    assert_refused(site.status(visit.queue_id, as_position), 401, "UNAUTHORIZED")
    as_session = signed_truly(site, Purpose.POSITION, claims_of(visit.session_token))
    assert_refused(session_call(site, visit, as_session), 401, "UNAUTHORIZED")


@position_routes
def test_a_position_token_past_its_time_counts_while_its_place_is_held(
    site: Site, method: str, last: str
) -> None:
    queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=7200)
    joined = site.join(queue_id).json()
    site.clock.advance(1801)
    response = ask(site, method, f"/queues/{queue_id}/{last}", joined["token"])
    assert response.status_code == 200
    assert response.json()["position_id"] == joined["position_id"]
    if method == "DELETE":
        assert stats_of(site, queue_id)["current_waiting"] == 0
    else:
        fresh = response.json()["token"]
        assert claims_of(fresh)["exp"] - 1800 <= site.clock() // 1000 < claims_of(fresh)["exp"]
        assert claims_of(fresh)["enqueued_ms"] == claims_of(joined["token"])["enqueued_ms"]


def test_joining_with_a_token_past_its_time_gives_the_place_back_with_a_fresh_token(site: Site) -> None:
    queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=7200)
    joined = site.join(queue_id).json()
    site.clock.advance(1801)
    again = site.join(queue_id, token=joined["token"])
    assert (again.status_code, again.json()["position_id"]) == (200, joined["position_id"])
    assert claims_of(again.json()["token"])["exp"] > claims_of(joined["token"])["exp"]


def test_a_position_token_past_its_time_brings_the_session_of_its_place(site: Site) -> None:
    queue_id = open_queue(site, session_timeout_seconds=WEEK_S)
    visit = enter(site, queue_id)
    site.clock.advance(1801)
    assert site.status(queue_id, visit.token).json()["session_token"]


@position_routes
def test_a_position_token_past_its_time_is_410_once_its_place_is_over(
    site: Site, method: str, last: str
) -> None:
    queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=7200)
    joined = site.join(queue_id).json()
    site.call("DELETE", f"/queues/{queue_id}/position", joined["token"])
    site.clock.advance(1801)
    response = ask(site, method, f"/queues/{queue_id}/{last}", joined["token"])
    details = assert_refused(response, 410, "POSITION_EXPIRED")
    assert details["position_id"] == joined["position_id"]
    site.clock.advance(3600)
    response = ask(site, method, f"/queues/{queue_id}/{last}", joined["token"])
    assert assert_refused(response, 410, "POSITION_EXPIRED") == {
        "position_id": joined["position_id"],
        "expired_at": joined["expires_at"],
        "reason": "token_expired",
    }


def test_a_position_token_counts_for_eight_days_after_its_time_at_most(site: Site) -> None:
    queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=WEEK_S)
    token = waiting(site, queue_id)
    old, too_old = (position_token(site, queue_id, raw_id(token), lasts_s=-days * 86_400) for days in (7, 9))
    assert site.status(queue_id, old).json()["position"] == 1
    assert_refused(site.status(queue_id, too_old), 410, "POSITION_EXPIRED")
    assert site.join(queue_id, token=too_old).status_code == 201


@position_routes
def test_a_forged_token_past_its_time_is_401(site: Site, method: str, last: str) -> None:
    queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=7200)
    token = waiting(site, queue_id)
    site.clock.advance(1801)
    forged = tampered(token, exp=claims_of(token)["exp"] + 3600)
    assert_refused(ask(site, method, f"/queues/{queue_id}/{last}", forged), 401, "UNAUTHORIZED")


@pytest.mark.parametrize("lasts_s", [0, -1, -86_400])
def test_a_position_token_is_over_at_the_very_second_it_names(site: Site, lasts_s: int) -> None:
    queue_id = site.make_queue(status="paused")
    token = position_token(site, queue_id, lasts_s=lasts_s)
    details = assert_refused(site.status(queue_id, token), 410, "POSITION_EXPIRED")
    assert seconds_of(details["expired_at"]) == claims_of(token)["exp"]


def test_a_session_token_past_its_time_is_410_with_when_it_ended(site: Site) -> None:
    queue_id = open_queue(site)
    token = session_token(site, queue_id, lasts_s=-5)
    session_id = claims_of(token)["sub"]
    expected = {
        "session_id": session_id,
        "reason": "session_timeout",
    }
    for method, last in (("GET", ""), ("DELETE", ""), ("POST", "/activity")):
        response = ask(site, method, f"/sessions/{session_id}{last}", token)
        details = assert_refused(response, 410, "SESSION_EXPIRED")
        assert seconds_of(details.pop("expired_at")) == claims_of(token)["exp"]
        assert details == expected
