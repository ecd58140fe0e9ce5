"""A visitor's walk through a deployment: in line, let in, through the gate; and a forged address."""

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
from wr.model.client_address import Forwarding
from wr.model.entry_url import entry_url
from wr.model.tokens import ISSUER

PATIENCE_S = 15.0
"""For so long the visitor waits to be let in."""
_LOOK_EVERY_S = 1.0
_MOST_REDIRECTS = 5
_AUDIENCE = "wr:session"
_ALGORITHMS = ["RS256", "ES256", "EdDSA"]
# Addresses that nobody has (RFC 5737).
_FORGED = ("198.51.100.1", "203.0.113.1")


class _Told(msgspec.Struct, frozen=True):
    """What any answer to a visitor may say; the rest is not looked at."""

    status: str = ""
    token: str = ""
    position: int = 0
    estimated_wait_seconds: int = 0
    session_token: str = ""
    redirect_url: str = ""


class Walk:
    """One visitor of one queue. Whoever joined leaves again.

    Raises `NoAnswer` wherever the waiting room or the site does not answer.
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
        """Get ready.

        `room` is where visitors find the waiting room, `keys_at` where it shows its keys; `is_gated` tells
        whether a gate was seen.
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
        """Walk: join, wait, verify the session token, go through the gate, leave."""
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
                    f"number {admitted.position:,} in line of {self._queue_id}, not let in within "
                    f"{PATIENCE_S:g} s",
                    "try a --queue where nobody waits; the token and the way in are not checked until then",
                )
                return
            yield good("walk", f"joined {self._queue_id} and was let in")
            yield self._check_token(admitted.session_token)
            yield self._check_target(admitted.redirect_url)
            yield self._check_entry(admitted.session_token)
        finally:
            self._leave(told.token)
            # The gate made a cookie of it, which stands for nothing any more.
            self._visitor.is_rid_of(session)

    def check_forging(self) -> Finding:
        """Check that nobody gets new limits by claiming another address in `X-Forwarded-For`."""
        subject = "proxies"
        for _ in range(2):
            rows = [self._join(f"forged-{address}", address) for address in _FORGED]
            for _answer, told in rows:
                if told is not None:
                    self._leave(told.token)
            (one, two) = (answer for answer, _told in rows)
            if 429 in (one.status, two.status):
                return unsure(subject, "the limit of joins is used up", "try again in a minute")
            left = [answer.header("x-ratelimit-remaining") for answer in (one, two)]
            is_counted = one.header("x-ratelimit-reset") != dict(UNCOUNTED)["X-RateLimit-Reset"]
            if not is_counted or not all(each.isdecimal() for each in left):
                return unsure(
                    subject, "joins bear no limit, so nobody can see by which address they count", "set one"
                )
            # Between two minutes the limits begin anew, whoever asks.
            if one.header("x-ratelimit-reset") == two.header("x-ratelimit-reset"):
                break
        if int(left[1]) < int(left[0]):
            return self._check_trust(subject)
        return bad(
            subject,
            "a forged X-Forwarded-For is believed: who claims new addresses meets no limit",
            "name your own proxies alone in --trusted-proxies, and have them add the address they see",
        )

    def _check_trust(self, subject: str) -> Finding:
        """Check that the proxies on the way here are believed, as the waiting room tells those who ask."""
        safe = "a forged X-Forwarded-For is not believed"
        mend = "name each of your own proxies in --trusted-proxies"
        told = self._visitor.ask(self._queue).header("x-wr-forwarded")
        if told == Forwarding.BELIEVED:
            return good(subject, f"{safe}, and what the proxy says is")
        if told == Forwarding.IGNORED:
            return bad(
                subject, "the proxy on the way is not believed: all visitors count as its one address", mend
            )
        if told == Forwarding.PARTLY:
            return unsure(subject, "one of several proxies on the way here is not believed", mend)
        if told == Forwarding.NONE:
            return good(subject, f"{safe}; none comes from here, as where visitors reach wr without a proxy")
        return unsure(subject, f"{safe}; whether your own proxy is, this waiting room does not tell", mend)

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
        # One who was let in leaves the session with it, so that it takes nobody's room.
        self._visitor.ask(
            f"{self._queue}/position", method="DELETE", headers={"Authorization": f"Bearer {token}"}
        )

    def _check_token(self, token: str) -> Finding:
        subject = "session token"
        keys = self._visitor.ask(f"{self._keys_at}/.well-known/jwks.json")
        if keys.status != 200:
            found = f"{self._keys_at} does not show the published keys ({keys.status})"
            return unsure(
                subject, found, "pass /.well-known/jwks.json on, or say the room's own address with --url"
            )
        try:
            published = jwt.PyJWKSet.from_json(keys.body.decode())
            kid = jwt.get_unverified_header(token).get("kid")
            key = next(key for key in published.keys if key.key_id == kid)
            jwt.decode(token, key, algorithms=_ALGORITHMS, audience=_AUDIENCE, issuer=ISSUER)
        except StopIteration:
            return bad(subject, "is signed with a key that is not published", "see --session-algorithm")
        except (jwt.PyJWTError, UnicodeError, ValueError) as error:
            return bad(subject, f"does not verify: {error}", "see /.well-known/jwks.json, and both clocks")
        return good(subject, "verifies with the keys at /.well-known/jwks.json")

    def _check_target(self, target: str) -> Finding:
        subject = "target"
        there, here = urlsplit(led_to(self._origin, target)).netloc, urlsplit(self._origin).netloc
        if there == here:
            return good(subject, f"who is let in is sent to {there}")
        mend = f"wr queue update {self._queue_id} --target-url {self._origin}"
        return unsure(subject, f"who is let in is sent to {there or 'nowhere'}, not to {here}", mend)

    def _check_entry(self, token: str) -> Finding:
        """Go in as a browser does: with the token in the address, then with the cookies that are set."""
        subject = "way in"
        # Never to where the queue's target points: the token is for the site that was named.
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
                    "the gate sends away who was let in",
                    "see that it asks this waiting room, about this queue, and passes cookies and query on",
                )
            if seen.answer.status >= 500:
                return bad(subject, f"the site answers {seen.answer.status} to who was let in", "see its log")
            location = led_to(url, seen.answer.header("location"))
            if not 300 <= seen.answer.status < 400 or urlsplit(location).netloc != urlsplit(url).netloc:
                if not self._is_gated:
                    return unsure(
                        subject,
                        f"the site answers {seen.answer.status} to who was let in, as to everybody",
                        "see above: no gate was seen",
                    )
                return good(subject, f"the gate lets in who was let in: {seen.answer.status}")
            for cookie in seen.answer.headers.get("set-cookie", ()):
                name, _, value = cookie.partition(";")[0].partition("=")
                cookies[name.strip()] = value.strip()
            url = location
        return bad(subject, "the site redirects again and again", "see that the gate passes cookies on")


def _not_joined(answer: HttpAnswer, queue_id: str) -> Finding:
    if answer.read(ErrorResponse) is None:
        return bad(
            "walk", f"joining is answered {answer.status} by what is no wr", "say where it is with --url"
        )
    if answer.status == 404:
        return bad("walk", f"there is no queue {queue_id}", "name one with --queue")
    if answer.status in (429, 503):
        mend = "try again later, or with another --queue"
        return unsure("walk", f"{queue_id} takes nobody just now ({answer.status})", mend)
    return bad("walk", f"joining {queue_id} is answered {answer.status}", "see the log of the waiting room")
