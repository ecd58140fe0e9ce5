"""The guard: finds the route of a request, and checks who calls, how often, and with what."""

import hmac
import re
from urllib.parse import parse_qsl

import msgspec

from wr.api.authenticated_request import AuthenticatedRequest, Caller, MessageT
from wr.api.http_messages import HttpRequest
from wr.api.message_readers import MOST_QUERY_FIELDS, Body
from wr.api.metrics_access import MetricsAccess
from wr.api.place_cookies import (
    IN_CLIENT,
    IN_COOKIE,
    TOKEN_HEADER,
    PlaceCookies,
    cookie_name,
    read_cookie,
    wants_cookie,
)
from wr.api.route import AnyRoute, Auth, Route
from wr.api.router import Router
from wr.api.user_queue.messages import ConcertUser
from wr.api.user_queue.user_tokens import UserTokens
from wr.model import refusals
from wr.model.audit import read_operator
from wr.model.bounded_cache import BoundedCache
from wr.model.client_address import Network, client_address, is_trusted, limited_address
from wr.model.ids import is_queue_id, parse_session_id, session_id_bytes
from wr.model.limits import Usage
from wr.model.tokens import ExpiredToken, InvalidToken, PositionClaims, PositionProof
from wr.room.guess_limiter import Guessed, GuessLimiter
from wr.room.place_refusals import rate_limited, token_expired
from wr.room.signing_keys import SigningKeys
from wr.store.key_names import GLOBAL_TAG
from wr.store.limit import Counted
from wr.store.store import Store

MAX_BODY_BYTES = 16 * 1024
_MOST_HEADERS = 100
_MOST_PEERS = 4096
ADMIN_KEY = "x-admin-key"
ORIGIN_KEY = "x-wr-origin-key"
_ADMIN_KEY_MISSING = "The admin key in X-Admin-Key is missing or wrong"
_ORIGIN_KEY_MISSING = "The origin key in X-WR-Origin-Key is missing or wrong"
_JSON = "application/json"
_FORWARDED = frozenset({"x-forwarded-for", "x-real-ip", "forwarded"})
"""Headers by which a proxy names the client that it forwards."""
_JSON_TYPE = re.compile(r"application/(?:[\w.+-]+\+)?json", re.IGNORECASE)


class Secrets(msgspec.Struct, frozen=True):
    """What proves that a call comes from an operator, or from the site behind the gate (empty: none does)."""

    admin_key: str
    origin_key: str = ""


class GuardedRequest(msgspec.Struct):
    """A request on its way to its answer: what is known about it so far.

    Not frozen: each step adds what it found. So a refusal at any step is counted, answered and logged with
    all that is known by then.
    """

    http: HttpRequest
    request_id: str
    address: str
    began_s: float
    """When it arrived, on the clock of the metrics."""
    route: AnyRoute | None = None
    """The route of the table, once it is found."""
    parameters: dict[str, str] = {}
    """The parameters in the path, once the route is found."""
    caller: Caller | None = None
    """What the caller proved, once it is authenticated."""
    usage: Usage | None = None
    """How much of a limit the caller has used, once the request is counted."""
    has_wrong_key: bool = False
    """Whether it brings a key that was compared and is wrong."""


class RequestGuard:
    """Turns a request into one that an operation can trust, or refuses it."""

    def __init__(
        self,
        store: Store,
        signing_keys: SigningKeys,
        user_tokens: UserTokens | None,
        *,
        cookies: PlaceCookies,
        secrets: Secrets,
        guesses: GuessLimiter,
        trusted_proxies: tuple[Network, ...],
        scrapers: MetricsAccess,
    ) -> None:
        self._scrapers = scrapers
        self._guesses = guesses
        self._store = store
        self._signing_keys = signing_keys
        self._user_tokens = user_tokens
        self._keys = {ADMIN_KEY: secrets.admin_key.encode(), ORIGIN_KEY: secrets.origin_key.encode()}
        self._cookies = cookies
        self._trusted_proxies = trusted_proxies
        self._peers: BoundedCache[str, tuple[str, bool]] = BoundedCache(_MOST_PEERS)
        """The address of each peer of a connection, and whether it is a trusted proxy."""
        self.router = Router()

    def address_of(self, http: HttpRequest) -> str:
        """Determine from which address a request comes."""
        known = self._peers.get(http.peer)
        if known is None:
            is_proxy = is_trusted(http.peer, self._trusted_proxies)
            known = client_address(http.peer, "", self._trusted_proxies), is_proxy
            self._peers.put(http.peer, known)
        address, is_proxy = known
        if is_proxy:
            forwarded_for = http.headers.get("x-forwarded-for")
            if forwarded_for:
                return client_address(http.peer, forwarded_for, self._trusted_proxies)
        return address

    def find_route(self, request: GuardedRequest) -> AnyRoute:
        """Find the route of a request.

        Raises:
            Refusal: no such path or method, or too many headers.
        """
        http = request.http
        if len(http.headers) > _MOST_HEADERS:
            raise refusals.TooManyHeaders(f"A request may have {_MOST_HEADERS} headers")
        route, request.parameters = self.router.find(http.method, http.path)
        request.route = route
        return route

    def admit_now(
        self, route: Route[MessageT], request: GuardedRequest
    ) -> AuthenticatedRequest[MessageT] | None:
        """Check a request, whose route this is, and read its message; None if that has to wait for the store.

        Then nothing has been done yet, and `admit` begins from the start. Raises as `admit`.
        """
        caller = self._caller_now(route, request)
        if caller is None or (not route.counts_itself and _counter(request, route, caller) is not None):
            return None
        request.caller = caller
        return self._read(route, request, caller)

    async def admit(self, route: Route[MessageT], request: GuardedRequest) -> AuthenticatedRequest[MessageT]:
        """Check a request, whose route this is, and read its message.

        Raises:
            Refusal: no or a false token, too often, or a message that is not valid.
        """
        caller = self._caller_now(route, request) or await self._caller_later(route, request)
        request.caller = caller
        if not route.counts_itself:
            await self.count(request)
        return self._read(route, request, caller)

    def _read(
        self, route: Route[MessageT], request: GuardedRequest, caller: Caller
    ) -> AuthenticatedRequest[MessageT]:
        http, parameters = request.http, request.parameters
        if caller.position is None and not is_queue_id(parameters.get("queue_id", "any")):
            raise refusals.NotFound("There is no such queue")
        reads = route.reads
        if isinstance(reads, Body):
            self._check_body(http)
        message = reads.read(http)
        if self._user_tokens is not None and route.auth is Auth.USER and not caller.is_site:
            caller = _with_user_token(self._user_tokens, caller, http, message)
        return AuthenticatedRequest(http, parameters, caller, message)

    async def count(self, request: GuardedRequest) -> None:
        """Count a request that no script counts.

        Raises:
            RateLimited: it is one too many.
        """
        route = request.route
        counter = None if route is None else _counter(request, route, request.caller)
        if counter is None:
            return
        usage = request.usage = await self._store.count(counter)
        if usage is not None and usage.used > usage.limit.count:
            raise rate_limited(usage)

    def _caller_now(
        self, route: AnyRoute, request: GuardedRequest, *, knows_all_keys: bool = False
    ) -> Caller | None:
        """Authenticate a caller as far as that needs no wait; None if it needs one.

        With `knows_all_keys`, a token that names an unknown key is not valid, instead of a reason to wait.
        """
        auth = route.auth
        if auth is Auth.POSITION:
            return self._position_holder(route, request, knows_all_keys=knows_all_keys)
        if auth is Auth.SESSION:
            return self._session_holder(request, knows_all_keys=knows_all_keys)
        if auth in (Auth.ADMIN, Auth.METRICS):
            return None
        is_site = auth is Auth.ORIGIN or (auth is not Auth.NOBODY and _brings_key(request.http))
        if is_site and not self._has_key(request, ORIGIN_KEY, ADMIN_KEY):
            return None
        if auth is Auth.MAY_HAVE_POSITION:
            return self._visitor(route, request, is_site=is_site, knows_all_keys=knows_all_keys)
        return Caller(request.address, is_site=is_site)

    async def _caller_later(self, route: AnyRoute, request: GuardedRequest) -> Caller:
        """Authenticate a caller with the help of the store, which counts wrong keys, and has new keys."""
        auth = route.auth
        if auth is Auth.ADMIN:
            await self._require_key(request, _ADMIN_KEY_MISSING, ADMIN_KEY)
            operator = read_operator(request.http.headers.get("x-operator", ""))
            return Caller(request.address, is_admin=True, operator=operator)
        if auth is Auth.METRICS:
            await self._admit_scraper(request)
            return Caller(request.address)
        is_site = auth is Auth.ORIGIN or _brings_key(request.http)
        if is_site and auth not in (Auth.POSITION, Auth.SESSION):
            await self._require_key(request, _ORIGIN_KEY_MISSING, ORIGIN_KEY, ADMIN_KEY)
        # A key that is not known here may have been made by another server.
        await self._signing_keys.look_for_new_keys()
        caller = self._caller_now(route, request, knows_all_keys=True)
        if caller is None:
            raise AssertionError("all that a caller may have to wait for was waited for")
        return caller

    async def _admit_scraper(self, request: GuardedRequest) -> None:
        http, address = request.http, request.address
        token = _bearer(http)
        if token is not None:
            self._guesses.check(address, Guessed.KEY)
        is_forwarded = address == http.peer and not _FORWARDED.isdisjoint(http.headers)
        try:
            self._scrapers.check(token, address, is_forwarded=is_forwarded)
        except refusals.Unauthorized:
            if token is not None:
                await self._guesses.note(address, Guessed.KEY)
            raise

    def _has_key(self, request: GuardedRequest, *names: str) -> bool:
        """Whether one of these headers brings its key. Once an address has sent too many wrong keys, none is
        compared any more.

        Raises:
            RateLimited: there were too many.
        """
        if request.has_wrong_key:
            return False
        headers = request.http.headers
        given = [(headers.get(name, "").encode(), self._keys[name]) for name in names]
        if not any(sent for sent, _ in given):
            return False
        self._guesses.check(request.address, Guessed.KEY)
        # Each is compared, so that the time tells nothing.
        matches = [bool(key) and hmac.compare_digest(sent, key) for sent, key in given]
        if not any(matches):
            # At once: of many requests that arrive together, only so many may be compared.
            request.has_wrong_key = True
            self._guesses.note_here(request.address, Guessed.KEY)
        return any(matches)

    async def _require_key(self, request: GuardedRequest, missing: str, *names: str) -> None:
        """Refuse a request without one of these keys, and count a wrong one."""
        if self._has_key(request, *names):
            return
        if request.has_wrong_key:
            await self._guesses.note_in_store(request.address, Guessed.KEY)
        raise refusals.Forbidden(missing)

    def _position_holder(
        self, route: AnyRoute, request: GuardedRequest, *, knows_all_keys: bool
    ) -> Caller | None:
        """Verify a position token; None if it names a key that is not known here."""
        http = request.http
        token, is_in_cookie = _bearer(http), False
        if token is None:
            token, is_in_cookie = self._token_in_cookie(route, request)
        if token is None:
            token = _required_bearer(http, may_be_in_query=route.feed is not None)
        proof: PositionProof | None = None
        try:
            # One whose time is over may still count: the store says whether it holds the place.
            proof = self._signing_keys.position_now(token, knows_all_keys=knows_all_keys)
            if proof is None:
                return None
            claims = proof.claims
        except InvalidToken as error:
            raise refusals.Unauthorized(str(error)) from error
        except ExpiredToken as error:
            if not isinstance(error.claims, PositionClaims):
                raise
            claims = error.claims
        if claims.queue_id != request.parameters["queue_id"]:
            raise refusals.Unauthorized("The token is of another queue")
        if proof is None:
            raise token_expired(claims)
        return Caller(
            request.address,
            position=proof,
            keeps_token_in_cookie=is_in_cookie,
        )

    def _visitor(
        self, route: AnyRoute, request: GuardedRequest, *, is_site: bool, knows_all_keys: bool
    ) -> Caller | None:
        """Take a valid position token as proof of a place; any other token is as if it were not there.

        Returns None if the token names a key that is not known here.
        """
        token, is_in_cookie = _bearer(request.http), False
        if token is None:
            token, is_in_cookie = self._token_in_cookie(route, request)
        position = None
        if token is not None:
            try:
                position = self._signing_keys.position_now(token, knows_all_keys=knows_all_keys)
                if position is None:
                    return None
            except (InvalidToken, ExpiredToken):
                position = None
        return Caller(
            request.address,
            is_site=is_site,
            position=position,
            keeps_token_in_cookie=is_in_cookie,
            keeps_token=request.http.headers.get(TOKEN_HEADER) in (IN_COOKIE, IN_CLIENT),
        )

    def _token_in_cookie(self, route: AnyRoute, request: GuardedRequest) -> tuple[str | None, bool]:
        """Find a position token in a cookie, and say whether the browser is to keep the token there.

        A cookie counts for clients that ask for that, and for streams of pages from here, which can set no
        header to ask with.
        """
        http = request.http
        if route.feed is None:
            if not wants_cookie(http):
                return None, False
            return read_cookie(http, cookie_name(request.parameters["queue_id"])), True
        if not self._cookies.is_from_here(http):
            return None, False
        token = read_cookie(http, cookie_name(request.parameters["queue_id"]))
        # With a cookie, no script is to read the token, and the stream brings none.
        return token, token is not None

    def _session_holder(self, request: GuardedRequest, *, knows_all_keys: bool) -> Caller | None:
        """Verify a session token; None if it names a key that is not known here."""
        token = _required_bearer(request.http)
        try:
            claims = self._signing_keys.session_now(token, knows_all_keys=knows_all_keys)
            if claims is None:
                return None
        except InvalidToken as error:
            raise refusals.Unauthorized(str(error)) from error
        except ExpiredToken as error:
            if isinstance(error.claims, PositionClaims):
                raise
            # The session may have been given more time than the token says: the store knows.
            claims = error.claims
        if claims.position_id != parse_session_id(request.parameters["session_id"]):
            raise refusals.Unauthorized("The token is of another session")
        return Caller(request.address, session=claims)

    def _check_body(self, http: HttpRequest) -> None:
        """Check what does not depend on the message: how long the body is, and which page sends it."""
        body = http.body
        if body is None or len(body) > MAX_BODY_BYTES:
            raise refusals.TooLarge(f"The body is longer than {MAX_BODY_BYTES} bytes")
        content_type = http.headers.get("content-type", "")
        if (
            body
            and content_type != _JSON
            and _JSON_TYPE.fullmatch(content_type.partition(";")[0].strip()) is None
            and not self._cookies.is_from_here(http)
        ):
            # Any other client's body is JSON if it reads as JSON: few think of the header. But a browser
            # sends such a body for a page of another site unasked; one that is called JSON takes leave.
            raise refusals.InvalidRequest(
                "From a page of another site the body must come with Content-Type: application/json"
            )


def _with_user_token(tokens: UserTokens, caller: Caller, http: HttpRequest, message: object) -> Caller:
    """Check that a caller brings a token of the user that the message names.

    Raises:
        Unauthorized: there is none, or it is not valid.
    """
    if not isinstance(message, ConcertUser):
        raise TypeError("a route for users reads which user it is about")
    tokens.check(_required_bearer(http), message.user_id)
    return msgspec.structs.replace(caller, has_user_token=True)


def _counter(request: GuardedRequest, route: AnyRoute, caller: Caller | None) -> Counted | None:
    """Name the counter of a request; None when none counts it. Until a token says who calls, the address
    does."""
    if route.scope is None:
        return None
    if caller is not None:
        if caller.is_site:
            return None
        if caller.is_admin:
            return Counted(GLOBAL_TAG, route.scope, b"admin key")
        if caller.position is not None and route.auth is Auth.POSITION:
            claims = caller.position.claims
            return Counted(claims.queue_id, route.scope, claims.position_id)
        if caller.session is not None:
            session_id = session_id_bytes(caller.session.position_id)
            return Counted(caller.session.queue_id, route.scope, session_id)
    return Counted(GLOBAL_TAG, route.scope, limited_address(request.address).encode())


def _brings_key(http: HttpRequest) -> bool:
    """Whether a call claims to be the site's own; then a key that is wrong is refused, not overlooked."""
    return ORIGIN_KEY in http.headers or ADMIN_KEY in http.headers


def _bearer(http: HttpRequest) -> str | None:
    given = http.headers.get("authorization", "")
    if given.startswith("Bearer ey"):
        return given[7:].strip()
    scheme, _, token = given.partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None


def _query_token(http: HttpRequest) -> str | None:
    """The token of a stream whose client can set no headers: browsers' WebSocket and EventSource."""
    try:
        fields = dict(parse_qsl(http.query, max_num_fields=MOST_QUERY_FIELDS))
    except ValueError:
        return None
    return fields.get("access_token")


def _required_bearer(http: HttpRequest, *, may_be_in_query: bool = False) -> str:
    token = _bearer(http)
    if token is None and may_be_in_query:
        token = _query_token(http)
    if token is None:
        raise refusals.Unauthorized("Send the token as Authorization: Bearer <token>")
    return token
