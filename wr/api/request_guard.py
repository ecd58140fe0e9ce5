"""The reception: finds the route of a request, and checks who calls, how often, and with what."""

import hmac
import re
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from wr.api.http_messages import HttpRequest
from wr.api.json_numbers import decode_whole_numbers
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
from wr.api.request_context import RequestContext
from wr.api.route import Auth, Route
from wr.api.router import Router
from wr.api.user_queue.user_tokens import UserTokens
from wr.model import refusals
from wr.model.audit import read_operator
from wr.model.client_address import Network, client_address, limited_address
from wr.model.ids import is_queue_id, parse_session_id, session_id_bytes
from wr.model.tokens import ExpiredToken, InvalidToken, PositionClaims, PositionProof
from wr.room.guess_limiter import Guessed, GuessLimiter
from wr.room.place_refusals import rate_limited, token_expired
from wr.room.signing_keys import SigningKeys
from wr.store.key_names import GLOBAL_TAG
from wr.store.limit import Counted
from wr.store.store import Store

MAX_BODY_BYTES = 16 * 1024
_MOST_QUERY_FIELDS = 20
_MOST_HEADERS = 100
ADMIN_KEY = "x-admin-key"
ORIGIN_KEY = "x-wr-origin-key"
_JSON = "application/json"
_FORWARDED = frozenset({"x-forwarded-for", "x-real-ip", "forwarded"})
"""What says that somebody else asks than who is connected."""
_JSON_TYPE = re.compile(r"application/(?:[\w.+-]+\+)?json", re.IGNORECASE)


class Secrets(msgspec.Struct, frozen=True):
    """What proves that a call comes from an operator, or from the site behind the gate (empty: none does)."""

    admin_key: str
    origin_key: str = ""


class RequestGuard:
    """Turns a request into a call that an operation can trust, or refuses it."""

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
        self.router = Router()
        self._decoders: dict[type[msgspec.Struct], msgspec.json.Decoder[Any]] = {}

    def meet(self, request: HttpRequest) -> RequestContext:
        """Note where a request comes from."""
        forwarded_for = request.headers.get("x-forwarded-for", "")
        address = client_address(request.peer, forwarded_for, self._trusted_proxies)
        return RequestContext({}, address, request.headers.get("user-agent", "")[:512], request)

    async def admit(self, request: HttpRequest, context: RequestContext) -> Route:
        """Find the route and complete the call for it.

        Raises:
            Refusal: no such path or method, no or a false token, too often, or a body that is not valid.
        """
        if len(request.headers) > _MOST_HEADERS:
            raise refusals.TooManyHeaders(f"A request may have {_MOST_HEADERS} headers")
        route, context.parameters = self.router.find(request.method, request.path)
        context.route = route
        if route.auth is Auth.POSITION:
            await self._authenticate_position(route, request, context)
        else:
            await self._authenticate(route, request, context)
        if not route.counts_itself:
            await self.count(context)
        if context.position is None and not is_queue_id(context.parameters.get("queue_id", "any")):
            raise refusals.NotFound("There is no such queue")
        if route.query is not None:
            context.query = _read_query(route.query, request)
        if route.body is not None:
            context.body = self._read_body(route.body, request)
        if route.auth is Auth.USER and self._user_tokens is not None and not context.is_site:
            self._user_tokens.check(_required_bearer(request), (context.body or context.query).user_id)
            context.has_user_token = True
        return route

    def _counter(self, context: RequestContext) -> Counted | None:
        """Name the counter of a call; None when none counts it. Until a token says who calls, the address
        does."""
        route: Route | None = context.route
        if route is None or route.scope is None:
            return None
        if context.is_site:
            return None
        if context.is_admin:
            return Counted(GLOBAL_TAG, route.scope, b"admin key")
        if context.position is not None and route.auth is Auth.POSITION:
            claims = context.position.claims
            return Counted(claims.queue_id, route.scope, claims.position_id)
        if context.session is not None:
            return Counted(
                context.session.queue_id, route.scope, session_id_bytes(context.session.position_id)
            )
        return Counted(GLOBAL_TAG, route.scope, limited_address(context.address).encode())

    async def count(self, context: RequestContext) -> None:
        """Count a call that no script counts.

        Raises:
            RateLimited: it is one too many.
        """
        counter = self._counter(context)
        if counter is None:
            return
        context.usage = await self._store.count(counter)
        if context.usage is not None and context.usage.used > context.usage.limit.count:
            raise rate_limited(context.usage)

    async def _authenticate(self, route: Route, request: HttpRequest, context: RequestContext) -> None:
        if route.auth is Auth.ADMIN:
            if not await self._has_key(request, context, ADMIN_KEY):
                raise refusals.Forbidden("The admin key in X-Admin-Key is missing or wrong")
            context.is_admin = True
            context.operator = read_operator(request.headers.get("x-operator", ""))
        elif route.auth is Auth.ORIGIN:
            await self._require_site(request, context)
        elif route.auth is Auth.USER:
            if _brings_key(request):
                await self._require_site(request, context)
        elif route.auth is Auth.MAY_HAVE_POSITION:
            if _brings_key(request):
                await self._require_site(request, context)
            context.keeps_token = request.headers.get(TOKEN_HEADER) in (IN_COOKIE, IN_CLIENT)
            token = _bearer(request) or self._token_in_cookie(route, request, context)
            if token is not None:
                try:
                    context.position = await self._signing_keys.read_position(token)
                except (InvalidToken, ExpiredToken):
                    context.position = None  # It proves nothing, so it is as if it were not there.
        elif route.auth is Auth.SESSION:
            await self._authenticate_session(request, context)
        elif route.auth is Auth.METRICS:
            await self._admit_scraper(request, context)

    async def _admit_scraper(self, request: HttpRequest, context: RequestContext) -> None:
        token = _bearer(request)
        if token is not None:
            self._guesses.check(context.address, Guessed.KEY)
        is_forwarded = context.address == request.peer and not _FORWARDED.isdisjoint(request.headers)
        try:
            self._scrapers.check(token, context.address, is_forwarded=is_forwarded)
        except refusals.Unauthorized:
            if token is not None:
                await self._guesses.note(context.address, Guessed.KEY)
            raise

    async def _require_site(self, request: HttpRequest, context: RequestContext) -> None:
        if not await self._has_key(request, context, ORIGIN_KEY, ADMIN_KEY):
            raise refusals.Forbidden("The origin key in X-WR-Origin-Key is missing or wrong")
        context.is_site = True

    async def _has_key(self, request: HttpRequest, context: RequestContext, *names: str) -> bool:
        """Whether one of these headers brings its key. Wrong keys of an address are counted, and once they
        are too many none is compared any more.

        Raises:
            RateLimited: there were too many.
        """
        given = [(request.headers.get(name, "").encode(), self._keys[name]) for name in names]
        if not any(sent for sent, _ in given):
            return False
        self._guesses.check(context.address, Guessed.KEY)
        # Each is compared, so that the time tells nothing.
        matches = [bool(key) and hmac.compare_digest(sent, key) for sent, key in given]
        if not any(matches):
            await self._guesses.note(context.address, Guessed.KEY)
        return any(matches)

    async def _authenticate_position(
        self, route: Route, request: HttpRequest, context: RequestContext
    ) -> None:
        token = _bearer(request) or self._token_in_cookie(route, request, context)
        if token is None:
            token = _required_bearer(request, may_be_in_query=route.feed is not None)
        proof: PositionProof | None = None
        try:
            # One whose time is over may still count: the store says whether it holds the place.
            proof = self._signing_keys.position_now(token) or await self._signing_keys.read_position(token)
            claims = proof.claims
        except InvalidToken as error:
            raise refusals.Unauthorized(str(error)) from error
        except ExpiredToken as error:
            if not isinstance(error.claims, PositionClaims):
                raise
            claims = error.claims
        if claims.queue_id != context.parameters["queue_id"]:
            raise refusals.Unauthorized("The token is of another queue")
        if proof is None:
            raise token_expired(claims)
        context.position = proof

    def _token_in_cookie(self, route: Route, request: HttpRequest, context: RequestContext) -> str | None:
        """The token that the browser keeps, for clients that ask for that, and for streams of pages from
        here, which can set no header to ask with."""
        if route.feed is None:
            context.keeps_token_in_cookie = wants_cookie(request)
            if not context.keeps_token_in_cookie:
                return None
        elif not self._cookies.is_from_here(request):
            return None
        token = read_cookie(request, cookie_name(context.parameters["queue_id"]))
        if route.feed is not None:
            # Then no script is to read the token, and the stream brings none.
            context.keeps_token_in_cookie = token is not None
        return token

    async def _authenticate_session(self, request: HttpRequest, context: RequestContext) -> None:
        token = _required_bearer(request)
        try:
            claims = await self._signing_keys.read_session(token)
        except InvalidToken as error:
            raise refusals.Unauthorized(str(error)) from error
        except ExpiredToken as error:
            if isinstance(error.claims, PositionClaims):
                raise
            # The session may have been given more time than the token says: the store knows.
            claims = error.claims
        if claims.position_id != parse_session_id(context.parameters["session_id"]):
            raise refusals.Unauthorized("The token is of another session")
        context.session = claims

    def _read_body(self, kind: type[msgspec.Struct], request: HttpRequest) -> Any:
        body = request.body
        if body is None or len(body) > MAX_BODY_BYTES:
            raise refusals.TooLarge(f"The body is longer than {MAX_BODY_BYTES} bytes")
        content_type = request.headers.get("content-type", "")
        if (
            body
            and content_type != _JSON
            and _JSON_TYPE.fullmatch(content_type.partition(";")[0].strip()) is None
            and not self._cookies.is_from_here(request)
        ):
            # Any other client's body is JSON if it reads as JSON: few think of the header. But a browser
            # sends such a body for a page of another site unasked; one that is called JSON takes leave.
            raise refusals.InvalidRequest(
                "From a page of another site the body must come with Content-Type: application/json"
            )
        decoder = self._decoders.get(kind)
        if decoder is None:
            self._decoders[kind] = decoder = msgspec.json.Decoder(kind)
        try:
            # As text: the decoder would overlook bytes that are no UTF-8 in fields it does not know.
            return decode_whole_numbers(decoder, body.decode() or "{}", kind)
        except msgspec.ValidationError as error:
            raise _not_valid(error) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise refusals.InvalidRequest("The body is not valid JSON") from error
        except RecursionError as error:
            raise refusals.InvalidRequest("The body is nested too deeply") from error


def _brings_key(request: HttpRequest) -> bool:
    """Whether a call claims to be the site's own; then a key that is wrong is refused, not overlooked."""
    return ORIGIN_KEY in request.headers or ADMIN_KEY in request.headers


def _read_query(kind: type[msgspec.Struct], request: HttpRequest) -> Any:
    try:
        fields = dict(parse_qsl(request.query, keep_blank_values=True, max_num_fields=_MOST_QUERY_FIELDS))
        return msgspec.convert(fields, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _not_valid(error) from error
    except ValueError as error:
        raise refusals.InvalidRequest("The query is not valid") from error


def _not_valid(error: msgspec.ValidationError) -> refusals.InvalidRequest:
    message, _, field = str(error).partition(" - at `$")
    if not field:
        return refusals.InvalidRequest(message)
    return refusals.InvalidRequest(message, field=field.rstrip("`").lstrip("."))


def _bearer(request: HttpRequest) -> str | None:
    given = request.headers.get("authorization", "")
    if given.startswith("Bearer ey"):
        return given[7:].strip()
    scheme, _, token = given.partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None


def _query_token(request: HttpRequest) -> str | None:
    """The token of a stream whose client can set no headers: browsers' WebSocket and EventSource."""
    try:
        fields = dict(parse_qsl(request.query, max_num_fields=_MOST_QUERY_FIELDS))
    except ValueError:
        return None
    return fields.get("access_token")


def _required_bearer(request: HttpRequest, *, may_be_in_query: bool = False) -> str:
    token = _bearer(request)
    if token is None and may_be_in_query:
        token = _query_token(request)
    if token is None:
        raise refusals.Unauthorized("Send the token as Authorization: Bearer <token>")
    return token
