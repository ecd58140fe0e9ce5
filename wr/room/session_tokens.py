"""Session tokens: signed once for each admission, and kept for when the visitor asks again."""

from collections import OrderedDict

from wr.model.places import Admitted
from wr.model.tokens import SessionClaims
from wr.room.signing_keys import SigningKeys

_KEPT = 5_000
"""How many tokens are kept: about 5 MB. A token that was dropped is signed again, which does no harm."""


class SessionTokens:
    """Returns the token of a session, the same one as long as it is kept."""

    def __init__(self, signing_keys: SigningKeys) -> None:
        self._signing_keys = signing_keys
        self._kept: OrderedDict[bytes, tuple[int, str]] = OrderedDict()

    def kept(self, position_id: bytes, place: Admitted) -> str | None:
        """Return the token of this session if it is kept, without waiting."""
        kept = self._kept.get(position_id)
        return kept[1] if kept is not None and kept[0] == place.expires_ms else None

    async def of(self, position_id: bytes, queue_id: str, place: Admitted) -> str:
        """Return the token of this session. A new one takes half a millisecond of a worker thread."""
        kept = self._kept.get(position_id)
        if kept is None or kept[0] != place.expires_ms:
            claims = SessionClaims(
                position_id=position_id,
                queue_id=queue_id,
                admitted_ms=place.started_ms,
                # Rounded down, as the API tells it. The store keeps the session for the rest of that second.
                expires_s=place.expires_ms // 1000,
            )
            kept = (place.expires_ms, await self._signing_keys.sign_session(claims))
            self._kept[position_id] = kept
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return kept[1]
