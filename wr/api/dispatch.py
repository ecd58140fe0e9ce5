"""From request to response: routing, authentication, limits, validation, the operation, the envelope."""

import hmac
import re
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from wr.api.calls import Answer, Call, HttpRequest, HttpResponse, Services
from wr.api.errors import INTERNAL_ERROR, WireForm, refusal_headers, wire_form
from wr.api.messages import ErrorFacts, ErrorResponse
from wr.api.public_operations import Document
from wr.api.routes import Auth, Route, Router
from wr.model import refusals
from wr.model.client_address import Network, client_address, limited_address
from wr.model.ids import is_queue_id, parse_session_id, session_id_bytes
from wr.model.limits import Usage
from wr.model.places import Reason
from wr.model.refusals import Refusal
from wr.model.tokens import ExpiredToken, InvalidToken, PositionClaims
from wr.queue_book import QueueBook
from wr.room import PositionProof, position_expired, rate_limited, session_expired
from wr.store.counts import Counted
from wr.store.keys import GLOBAL_TAG
from wr.store.store import Store

log = structlog.get_logger("wr.api")

MAX_BODY_BYTES = 16 * 1024
_JSON_TYPE = re.compile(r"application/(?:[\w.+-]+\+)?json", re.IGNORECASE)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Api:
    """Answers requests. Whatever happens, the answer is a response of the contract's form."""

    def __init__(
        self,
        services: Services,
        store: Store,
        book: QueueBook,
        *,
        admin_key: str,
        trusted_proxies: tuple[Network, ...],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._services = services
        self._store = store
        self._book = book
        self._admin_key = admin_key.encode()
        self._trusted_proxies = trusted_proxies
        self._random_bytes = random_bytes
        self._router = Router()
        self._decoders: dict[type[msgspec.Struct], msgspec.json.Decoder[Any]] = {}

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        request_id = self._request_id(request)
        address = client_address(
            request.peer, request.headers.get("x-forwarded-for", ""), self._trusted_proxies
        )
        call = Call({}, address, request.headers.get("user-agent", "")[:512], None)
        try:
            answer = await self._answer(request, call)
        except Refusal as refusal:
            return await self._refuse(refusal, call, request_id)
        except Exception:
            log.exception("a request failed", request_id=request_id, method=request.method)
            return _error(INTERNAL_ERROR, "Something went wrong on our side", {}, [], request_id, call.usage)
        headers = _headers(request_id, answer.usage or call.usage)
        if answer.status == 503:
            headers.append(("Retry-After", "2"))
        body = answer.body.text if isinstance(answer.body, Document) else msgspec.json.encode(answer.body)
        return HttpResponse(answer.status, headers, bytes(body))

    async def _answer(self, request: HttpRequest, call: Call) -> Answer:
        route, call.parameters = self._router.find(request.method, request.path)
        if route.scope is not None:
            call.counted = self._counted_by_address(route, call)
        await self._authenticate(route, request, call)
        if call.counted is not None and not route.counts_itself:
            await self._count(call)
        queue_id = call.parameters.get("queue_id")
        if queue_id is not None and not is_queue_id(queue_id):
            raise refusals.NotFound("There is no such queue")
        if route.body is not None:
            call.body = self._read_body(route.body, request)
        return await route.operation(self._services, call)

    def _counted_by_address(self, route: Route, call: Call) -> Counted:
        """Until a token says who calls, the address does; of a queue only where that queue exists."""
        queue_id = call.parameters.get("queue_id", "")
        is_of_queue = route.auth is Auth.MAY_HAVE_POSITION and self._book.knows(queue_id)
        return Counted(
            tag=queue_id if is_of_queue else GLOBAL_TAG,
            scope=str(route.scope),
            subject=limited_address(call.address).encode(),
        )

    async def _count(self, call: Call) -> None:
        if call.counted is None:
            return
        call.usage = await self._store.count(call.counted)
        if call.usage is not None and call.usage.used > call.usage.limit.count:
            raise rate_limited(call.usage)

    async def _authenticate(self, route: Route, request: HttpRequest, call: Call) -> None:
        if route.auth is Auth.ADMIN:
            given = request.headers.get("x-admin-key", "").encode()
            if not hmac.compare_digest(given, self._admin_key):
                raise refusals.Forbidden("The admin key in X-Admin-Key is missing or wrong")
            call.counted = Counted(GLOBAL_TAG, "admin", b"admin key")
        elif route.auth is Auth.MAY_HAVE_POSITION:
            token = _bearer(request)
            if token is not None:
                try:
                    call.position = PositionProof(await self._services.keeper.read_position(token), token)
                except (InvalidToken, ExpiredToken):
                    call.position = None  # It proves nothing, so it is as if it were not there.
        elif route.auth is Auth.POSITION:
            await self._authenticate_position(request, call)
        elif route.auth is Auth.SESSION:
            await self._authenticate_session(request, call)

    async def _authenticate_position(self, request: HttpRequest, call: Call) -> None:
        token = _required_bearer(request)
        expired = False
        try:
            claims = await self._services.keeper.read_position(token)
        except InvalidToken as error:
            raise refusals.Unauthorized(str(error)) from error
        except ExpiredToken as error:
            if not isinstance(error.claims, PositionClaims):
                raise
            claims, expired = error.claims, True
        if claims.queue_id != call.parameters["queue_id"]:
            raise refusals.Unauthorized("The token is of another queue")
        if expired:
            raise position_expired(claims.position_id, claims.expires_s * 1000, "token_expired")
        call.position = PositionProof(claims, token)
        if call.counted is not None:
            call.counted = Counted(claims.queue_id, call.counted.scope, claims.position_id)

    async def _authenticate_session(self, request: HttpRequest, call: Call) -> None:
        token = _required_bearer(request)
        expired = False
        try:
            claims = await self._services.keeper.read_session(token)
        except InvalidToken as error:
            raise refusals.Unauthorized(str(error)) from error
        except ExpiredToken as error:
            if isinstance(error.claims, PositionClaims):
                raise
            claims, expired = error.claims, True
        if claims.position_id != parse_session_id(call.parameters["session_id"]):
            raise refusals.Unauthorized("The token is of another session")
        if expired:
            raise session_expired(claims.position_id, claims.expires_s * 1000, Reason.SESSION_TIMEOUT.text)
        call.session = claims
        if call.counted is not None:
            call.counted = Counted(claims.queue_id, call.counted.scope, session_id_bytes(claims.position_id))

    def _read_body(self, kind: type[msgspec.Struct], request: HttpRequest) -> Any:
        body = request.body
        if body is None or len(body) > MAX_BODY_BYTES:
            raise refusals.TooLarge(f"The body is longer than {MAX_BODY_BYTES} bytes")
        content_type = request.headers.get("content-type", "application/json").partition(";")[0].strip()
        if body and _JSON_TYPE.fullmatch(content_type) is None:
            raise refusals.InvalidRequest("The body must be JSON: send Content-Type: application/json")
        decoder = self._decoders.get(kind)
        if decoder is None:
            self._decoders[kind] = decoder = msgspec.json.Decoder(kind)
        try:
            # As text: the decoder would overlook bytes that are no UTF-8 in fields it does not know.
            return decoder.decode(body.decode() or "{}")
        except msgspec.ValidationError as error:
            message, _, field = str(error).partition(" - at `$")
            if not field:
                raise refusals.InvalidRequest(message) from error
            raise refusals.InvalidRequest(message, field=field.rstrip("`").lstrip(".")) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise refusals.InvalidRequest("The body is not valid JSON") from error
        except RecursionError as error:
            raise refusals.InvalidRequest("The body is nested too deeply") from error

    async def _refuse(self, refusal: Refusal, call: Call, request_id: str) -> HttpResponse:
        """Answer with an error. One that no script has counted yet is counted here: a flood of bad requests
        is a flood."""
        usage = refusal.usage or call.usage
        if usage is None and call.counted is not None and not isinstance(refusal, refusals.Unavailable):
            try:
                await self._count(call)
            except refusals.RateLimited as limited:
                refusal = limited
            except refusals.Unavailable:
                log.warning("a refused request could not be counted: the store is away")
            usage = call.usage
        return _error(
            wire_form(refusal), refusal.message, refusal.details, refusal_headers(refusal), request_id, usage
        )

    def _request_id(self, request: HttpRequest) -> str:
        """Take the caller's own id where it brings a harmless one, so that logs on both sides meet."""
        given = request.headers.get("x-request-id", "")
        return given if _REQUEST_ID.fullmatch(given) else f"req-{self._random_bytes(8).hex()}"


def _bearer(request: HttpRequest) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None


def _required_bearer(request: HttpRequest) -> str:
    token = _bearer(request)
    if token is None:
        raise refusals.Unauthorized("Send the token as Authorization: Bearer <token>")
    return token


def _headers(request_id: str, usage: Usage | None) -> list[tuple[str, str]]:
    headers = [
        ("Content-Type", "application/json"),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Request-Id", request_id),
    ]
    if usage is not None:
        headers += (
            ("X-RateLimit-Limit", str(usage.limit.count)),
            ("X-RateLimit-Remaining", str(usage.remaining)),
            ("X-RateLimit-Reset", str(usage.reset_s)),
        )
    return headers


def _error(
    form: WireForm,
    message: str,
    details: dict[str, object],
    headers: list[tuple[str, str]],
    request_id: str,
    usage: Usage | None,
) -> HttpResponse:
    facts = ErrorFacts(code=form.code, message=message, details=details or msgspec.UNSET)
    body = msgspec.json.encode(ErrorResponse(error=facts, request_id=request_id))
    return HttpResponse(form.status, _headers(request_id, usage) + headers, body)
