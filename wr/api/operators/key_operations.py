"""Operations on signing keys: list and rotate them."""

from collections.abc import Iterable

from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.http_messages import HttpResponse, json_response
from wr.api.operators.key_messages import KeyListResponse, KeyResponse
from wr.api.services import Services
from wr.model.signing import SigningKey
from wr.model.times import rfc3339


async def list_keys(services: Services, _request: AuthenticatedRequest[None]) -> HttpResponse:
    """List the signing keys, without their secret parts."""
    return json_response(200, _keys(await services.operators.keys()))


async def rotate_keys(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Create new signing keys. Tokens signed with earlier keys stay valid until they expire."""
    return json_response(201, _keys(await services.operators.rotate_keys(request.caller.actor)))


def _keys(keys: Iterable[SigningKey]) -> KeyListResponse:
    return KeyListResponse(
        keys=[
            KeyResponse(
                kid=key.kid,
                purpose=key.purpose,
                algorithm=key.algorithm,
                created_at=rfc3339(key.created_ms),
                active_at=rfc3339(key.active_ms),
            )
            for key in keys
        ]
    )
