"""Walks through a deployment as a visitor: joins, waits, enters through the gate; then tries a forged
address."""

import secrets
from collections.abc import Callable, Iterator
from urllib.parse import quote, urlsplit

import jwt
import msgspec

from wr.api.error_messages import ErrorResponse
from wr.api.http_messages import UNCOUNTED
from wr.client.http_exchange import HttpAnswer
from wr.doctor.finding import Finding, bad, good, unsure
from wr.doctor.http_probe import led_to
from wr.doctor.site import Observed, check_gate
from wr.doctor.trial_visitor import TrialVisitor
from wr.model.client_address import FORWARDING_HEADER, Forwarding
from wr.model.entry_url import entry_url
from wr.model.tokens import ISSUER

PATIENCE_S = 15.0
"""Longest time, in seconds, that the visitor waits to be admitted."""
_LOOK_EVERY_S = 1.0
_MOST_REDIRECTS = 5
_AUDIENCE = "wr:session"
_ALGORITHMS = ["RS256", "ES256", "EdDSA"]
# Addresses that are reserved for documentation (RFC 5737): no visitor has them.
_FORGED = ("198.51.100.1", "203.0.113.1")


class _Told(msgspec.Struct, frozen=True):
    """The fields of answers that the walk reads; others are ignored."""

    status: str = ""
    token: str = ""
    position: int = 0
    estimated_wait_seconds: int = 0
    session_token: str = ""
    redirect_url: str = ""


class Walk:
    """One visitor's walk through one queue. The visitor gives up every place that it gets.

    All methods raise `NoAnswer` if the waiting room or the site does not answer.
    """

    def __init__(
        self,
        room: str,
        queue_id: str,
        origin: str,
        visitor: TrialVisitor,
        *,
        keys_at: str,
        is_gated: bool,
        now_s: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        """Prepare the walk.

        `room` is the address at which visitors reach the waiting room, `keys_at` the one that publishes its
        keys. `is_gated` tells whether the site has a gate.
        """
        self._visitor = visitor
        self._is_gated = is_gated
        self._keys_at = keys_at
        self._queue = f"{room.rstrip('/')}/api/v1/queues/{quote(queue_id, safe='')}"
        self._queue_id = queue_id
        self._origin = origin
        self._now_s = now_s
        self._sleep = sleep

    def take(self) -> Iterator[Finding]:
        """Join, wait, verify the session token, enter through the gate, and leave."""
        answer, told = self._join("visitor")
        if told is None:
            yield _not_joined(answer, self._queue_id)
            return
        session = ""
        try:
            admitted = self._wait(told)
            session = admitted.session_token
            if not admitted.session_token:
                yield unsure(
                    "walk",
                    f"joined {self._queue_id} at position {admitted.position:,}, not admitted within "
                    f"{PATIENCE_S:g} s",
                    "try an empty --queue; the session token and the entry are not checked without one",
                )
                return
            yield good("walk", f"joined {self._queue_id} and was admitted")
            yield self._check_token(admitted.session_token)
            yield self._check_target(admitted.redirect_url)
            yield self._check_entry(admitted.session_token)
        finally:
            self._leave(told.token)
            # The gate set a cookie for this session, which has ended now.
            self._visitor.is_rid_of(session)

    def check_forging(self) -> Finding:
        """Check that a visitor cannot avoid limits with a forged address in `X-Forwarded-For`."""
        subject = "proxies"
        for _ in range(2):
            rows = [self._join(f"forged-{address}", address) for address in _FORGED]
            for _answer, told in rows:
                if told is not None:
                    self._leave(told.token)
            (one, two) = (answer for answer, _told in rows)
            if 429 in (one.status, two.status):
                return unsure(subject, "the limit on joins is used up", "try again in a minute")
            left = [answer.header("x-ratelimit-remaining") for answer in (one, two)]
            is_counted = one.header("x-ratelimit-reset") != dict(UNCOUNTED)["X-RateLimit-Reset"]
            if not is_counted or not all(each.isdecimal() for each in left):
                return unsure(
                    subject,
                    "joins have no limit, so the address that the server sees cannot be checked",
                    "set --limit-enqueue",
                )
            # At the turn of a minute all limits start again; then the comparison says nothing.
            if one.header("x-ratelimit-reset") == two.header("x-ratelimit-reset"):
                break
        if int(left[1]) < int(left[0]):
            return self._check_trust(subject)
        return bad(
            subject,
            "the server trusts a forged X-Forwarded-For: visitors can avoid all limits",
            "list only your own proxies in --trusted-proxies, and make them add the address that they see",
        )

    def _check_trust(self, subject: str) -> Finding:
        """Check that the server trusts the proxies on the way, as it reports in a header."""
        safe = "the server does not trust a forged X-Forwarded-For"
        fix = "list each of your own proxies in --trusted-proxies"
        answer = self._visitor.ask(self._queue, headers={FORWARDING_HEADER: "?"})
        told = answer.header(FORWARDING_HEADER.lower())
        if told == Forwarding.BELIEVED:
            return good(subject, f"{safe}, and trusts your proxy")
        if told == Forwarding.IGNORED:
            return bad(subject, "the server does not trust the proxy: all visitors count as one address", fix)
        if told == Forwarding.PARTLY:
            return unsure(subject, "the server does not trust one of several proxies on the way", fix)
        if told == Forwarding.NONE:
            return good(subject, f"{safe}; there is no proxy on the way from here")
        return unsure(subject, f"{safe}; it does not report whether it trusts your proxy", fix)

    def _join(self, who: str, address: str = "") -> tuple[HttpAnswer, _Told | None]:
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": f"{self._visitor.name}-{who}-{secrets.token_hex(16)}",
            **({"X-Forwarded-For": address} if address else {}),
        }
        body = msgspec.json.encode({"metadata": {"user_id": f"{self._visitor.name}-{who}"}})
        answer = self._visitor.ask(f"{self._queue}/enqueue", method="POST", headers=headers, body=body)
        return answer, answer.read(_Told) if answer.status in (200, 201) else None

    def _wait(self, told: _Told) -> _Told:
        deadline_s = self._now_s() + PATIENCE_S
        headers = {"Authorization": f"Bearer {told.token}"}
        latest = told
        while not latest.session_token and latest.estimated_wait_seconds <= PATIENCE_S:
            if self._now_s() >= deadline_s:
                break
            self._sleep(_LOOK_EVERY_S)
            latest = self._visitor.ask(f"{self._queue}/status", headers=headers).read(_Told) or latest
        return latest

    def _leave(self, token: str) -> None:
        # This also ends the session of an admitted visitor, so that it is free for others.
        self._visitor.ask(
            f"{self._queue}/position", method="DELETE", headers={"Authorization": f"Bearer {token}"}
        )

    def _check_token(self, token: str) -> Finding:
        subject = "session token"
        keys = self._visitor.ask(f"{self._keys_at}/.well-known/jwks.json")
        if keys.status != 200:
            found = f"{self._keys_at} does not publish its keys ({keys.status})"
            return unsure(
                subject,
                found,
                "make the proxy forward /.well-known/jwks.json, or give the server's own address with --url",
            )
        try:
            published = jwt.PyJWKSet.from_json(keys.body.decode())
            kid = jwt.get_unverified_header(token).get("kid")
            key = next(key for key in published.keys if key.key_id == kid)
            jwt.decode(token, key, algorithms=_ALGORITHMS, audience=_AUDIENCE, issuer=ISSUER)
        except StopIteration:
            return bad(subject, "is signed with a key that is not published", "check --session-algorithm")
        except (jwt.PyJWTError, UnicodeError, ValueError) as error:
            return bad(subject, f"does not verify: {error}", "check /.well-known/jwks.json and both clocks")
        return good(subject, "verifies with the keys at /.well-known/jwks.json")

    def _check_target(self, target: str) -> Finding:
        subject = "target"
        there, here = urlsplit(led_to(self._origin, target)).netloc, urlsplit(self._origin).netloc
        if there == here:
            return good(subject, f"admitted visitors are sent to {there}")
        fix = f"wr queue update {self._queue_id} --target-url {self._origin}"
        return unsure(
            subject, f"admitted visitors are sent to {there or 'an invalid URL'}, not to {here}", fix
        )

    def _check_entry(self, token: str) -> Finding:
        """Enter like a browser: with the token in the URL, then with the cookies that the site sets."""
        subject = "entry"
        # Always to --origin, never to the queue's target: the token must not go to another site.
        url, cookies = entry_url(self._origin, token), dict[str, str]()
        for _ in range(_MOST_REDIRECTS):
            headers = {"Accept": "text/html"}
            if cookies:
                headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
            asked_s = self._now_s()
            seen = Observed(url, self._visitor.ask(url, headers=headers), asked_s, self._now_s())
            if check_gate(seen)[1].room or seen.answer.status in (401, 403):
                return bad(
                    subject,
                    "the gate does not let an admitted visitor in",
                    "check that it asks this waiting room about this queue, and forwards cookies and query",
                )
            if seen.answer.status >= 500:
                return bad(
                    subject, f"the site answers {seen.answer.status} to an admitted visitor", "read its log"
                )
            location = led_to(url, seen.answer.header("location"))
            if not 300 <= seen.answer.status < 400 or urlsplit(location).netloc != urlsplit(url).netloc:
                if not self._is_gated:
                    return unsure(
                        subject,
                        f"the site answers {seen.answer.status} to an admitted visitor, and to all others",
                        "see above: there is no gate",
                    )
                return good(subject, f"the gate lets an admitted visitor in: {seen.answer.status}")
            for cookie in seen.answer.headers.get("set-cookie", ()):
                name, _, value = cookie.partition(";")[0].partition("=")
                cookies[name.strip()] = value.strip()
            url = location
        return bad(subject, "the site redirects endlessly", "check that the gate forwards cookies")


def _not_joined(answer: HttpAnswer, queue_id: str) -> Finding:
    if answer.read(ErrorResponse) is None:
        return bad(
            "walk",
            f"a server that is not wr answers {answer.status} to a join",
            "give its address with --url",
        )
    if answer.status == 404:
        return bad("walk", f"there is no queue {queue_id}", "name one with --queue")
    if answer.status in (429, 503):
        fix = "try again later, or with another --queue"
        return unsure("walk", f"visitors cannot join {queue_id} now ({answer.status})", fix)
    return bad("walk", f"the answer to a join of {queue_id} is {answer.status}", "read the server's log")
