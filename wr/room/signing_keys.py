"""Signing keys: creates the first ones, rotates them, and picks up those that other servers created."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import structlog
import trio

from wr.model.bounded_cache import BoundedCache
from wr.model.passes import Pass, own_verifier, sign_pass
from wr.model.signing import Algorithm, KeyRing, Purpose, SigningKey, is_kid, load_key, make_key, make_kid
from wr.model.tokens import (
    ExpiredToken,
    PositionClaims,
    PositionProof,
    SessionClaims,
    UnknownKey,
    read_session,
    sign_position,
    sign_session,
    verified_position,
)
from wr.model.verifiers import Verifier
from wr.store.secret_repository import SecretRepository

log = structlog.get_logger("wr.keys")

ACTIVATION_DELAY_MS = 5_000
"""How long a new key waits before it signs. Every server refreshes its keys more often than that."""
REFRESH_S = 2.0
OLDEST_SESSION_MS = 8 * 24 * 3600 * 1000
"""A session lasts a week at most. A day later no valid token can name a key that was replaced."""
LONGEST_PASS_S = 366 * 24 * 3600
"""How long a pass may be valid that is signed here."""
_MOST_OVER_MS = OLDEST_SESSION_MS
"""How long a position token is still read after it has expired. It counts while the store holds its place."""
_OLDEST_MS = {
    Purpose.POSITION: OLDEST_SESSION_MS,
    Purpose.SESSION: OLDEST_SESSION_MS,
    Purpose.PASS: (LONGEST_PASS_S + 24 * 3600) * 1000,
}
"""How long after a key was replaced a valid token may name it."""
_RELOAD_PAUSE_S = 1.0
_SIGNERS = 2
_MOST_REMEMBERED = 4096
"""Verified session tokens remembered: about 4 MB."""


class SigningKeys:
    """Signs and reads tokens with the keys that all servers share through the store."""

    def __init__(
        self,
        repository: SecretRepository,
        clock_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        algorithms: dict[Purpose, Algorithm],
    ) -> None:
        self._repository = repository
        self._clock_ms = clock_ms
        self._random_bytes = random_bytes
        self._algorithms = {Purpose.PASS: Algorithm.HS256, **algorithms}
        self._signers = trio.CapacityLimiter(_SIGNERS)
        self._reload_lock = trio.Lock()
        self._reloaded_at = -_RELOAD_PAUSE_S
        self.ring = KeyRing(())
        self.address_key = b""
        """The key of address tags (see `wr.model.identities`). Unlike the others it never changes."""
        self._sessions: BoundedCache[str, SessionClaims] = BoundedCache(_MOST_REMEMBERED)

    async def open(self, session_key_file: str = "") -> None:
        """Read the shared keys, and create those that are missing: a first key, or one of a new algorithm.

        Raises:
            OSError, ValueError: the session key file cannot be read, or has no key for the algorithm.
        """
        await self.refresh()
        self.address_key = await self._repository.first_address_key(self._random_bytes(32))
        if session_key_file:
            await self._adopt(await trio.Path(session_key_file).read_text())
        for purpose in Purpose:
            newest = next((key for key in self.ring.all() if key.purpose is purpose), None)
            if newest is None or newest.algorithm is not self._algorithms[purpose]:
                await self._make(purpose, active_ms=self._clock_ms())
        await self.refresh()

    async def refresh(self) -> None:
        """Read the shared keys again. One round trip; keys are parsed only if they have changed."""
        keys = await self._repository.signing_keys()
        self._reloaded_at = trio.current_time()
        # A key that the store has forgotten is kept here. Its tokens stay valid, and recovery writes it back.
        found = {key.kid for key in keys}
        keys += [key for key in self._needed(self.ring.all()) if key.kid not in found]
        if sorted(key.kid for key in keys) != sorted(key.kid for key in self.ring.all()):
            self.ring = await trio.to_thread.run_sync(KeyRing, keys)
            # Tokens of a key that is gone must not be accepted any longer.
            self._sessions.clear()

    async def keep_fresh(self) -> None:
        """Refresh every two seconds, for ever, so that new keys of others are known before they sign."""
        while True:
            await trio.sleep(REFRESH_S)
            try:
                await self.refresh()
            except Exception as error:  # noqa: BLE001 - the known keys stay valid; the next round asks again
                log.warning("signing keys could not be refreshed", error=str(error))

    async def rotate(self) -> list[SigningKey]:
        """Create a key of each purpose, which signs a few seconds from now. Earlier keys still verify.

        Keys that no valid token can name are deleted. Returns the new keys.
        """
        active_ms = self._clock_ms() + ACTIVATION_DELAY_MS
        made = [await self._make(purpose, active_ms=active_ms) for purpose in Purpose]
        await self._forget_old()
        await self.refresh()
        return made

    def sign_position(self, claims: PositionClaims) -> str:
        """Sign a position token."""
        return sign_position(claims, self.ring, self._clock_ms())

    async def sign_session(self, claims: SessionClaims) -> str:
        """Sign a session token in a worker thread, so that the event loop is not held up."""
        return await trio.to_thread.run_sync(
            sign_session, claims, self.ring, self._clock_ms(), limiter=self._signers
        )

    def position_now(self, token: str, *, knows_all_keys: bool = False) -> PositionProof | None:
        """Verify a position token with the known keys: 4 µs.

        None is remembered: before the same visitor returns, a line of more visitors has passed than could be.
        A token that has expired counts while the store holds its place, which the caller asks about. Returns
        None if it names a key that only another server may have; with `knows_all_keys` it is not valid.

        Raises:
            InvalidToken: malformed, unsigned, signed with a key or algorithm not ours, or a session token.
            ExpiredToken: ours, and expired more than eight days ago.
        """
        try:
            claims = verified_position(token, self.ring)
        except UnknownKey:
            if knows_all_keys:
                raise
            return None
        if self._clock_ms() >= claims.expires_s * 1000 + _MOST_OVER_MS:
            raise ExpiredToken(claims)
        return PositionProof(claims, token)

    async def read_position(self, token: str) -> PositionProof:
        """Verify a position token; raises as `position_now`. A new key of another server is looked for."""
        proof = self.position_now(token)
        if proof is None:
            await self.look_for_new_keys()
            proof = self.position_now(token, knows_all_keys=True)
        if proof is None:
            raise AssertionError("with all keys known, a token is valid or not")
        return proof

    def session_now(self, token: str, *, knows_all_keys: bool = False) -> SessionClaims | None:
        """Verify a session token with the known keys: 110 µs, or 0.5 for one seen lately.

        Returns None if it names a key that only another server may have; with `knows_all_keys` it is not
        valid. Raises as `tokens.read_session`.
        """
        known = self._sessions.get(token)
        if known is not None and self._clock_ms() < known.expires_s * 1000:
            return known
        try:
            claims = read_session(token, self.ring, self._clock_ms())
        except UnknownKey:
            if knows_all_keys:
                raise
            return None
        self._sessions.put(token, claims)
        return claims

    async def read_session(self, token: str) -> SessionClaims:
        """Verify a session token; raises as `session_now`. A new key of another server is looked for."""
        claims = self.session_now(token)
        if claims is None:
            await self.look_for_new_keys()
            claims = read_session(token, self.ring, self._clock_ms())
        return claims

    def sign_passes(self, passes: Iterable[Pass]) -> list[str]:
        """Sign passes; 25 µs each."""
        now_ms = self._clock_ms()
        return [sign_pass(made, self.ring, now_ms) for made in passes]

    async def pass_verifier(self, kid: str | None) -> Verifier | None:
        """Find the key that verifies a pass signed here; None if no key of ours has that name."""
        verifier = own_verifier(kid, self.ring)
        if verifier is None and is_kid(kid, Purpose.PASS):
            await self.look_for_new_keys()
            verifier = own_verifier(kid, self.ring)
        return verifier

    async def look_for_new_keys(self) -> None:
        """Look for a key that another server has just created; at most once a second, for all callers.

        A caller that comes too early waits for that second, because a token with a new key is valid.

        Raises:
            Unavailable: the store could not be asked.
        """
        asked_at = trio.current_time()
        async with self._reload_lock:
            if self._reloaded_at < asked_at:
                await trio.sleep_until(self._reloaded_at + _RELOAD_PAUSE_S)
                await self.refresh()

    async def _make(self, purpose: Purpose, *, active_ms: int) -> SigningKey:
        def make() -> SigningKey:
            return make_key(
                purpose,
                self._algorithms[purpose],
                created_ms=self._clock_ms(),
                active_ms=active_ms,
                random_bytes=self._random_bytes,
            )

        key = await trio.to_thread.run_sync(make)
        await self._repository.add_signing_key(key)
        return key

    async def _adopt(self, pem: str) -> None:
        """Share the operator's own session key through the store, unless it is shared already."""
        if any(key.secret == pem for key in self.ring.all()):
            return
        now_ms = self._clock_ms()
        key = SigningKey(
            kid=make_kid(Purpose.SESSION, self._random_bytes),
            purpose=Purpose.SESSION,
            algorithm=self._algorithms[Purpose.SESSION],
            secret=pem,
            created_ms=now_ms,
            active_ms=now_ms,
        )
        loaded = load_key(key)
        if loaded.jwk is None or loaded.jwk["kty"] != _KEY_TYPE[key.algorithm]:
            raise ValueError(f"it holds no {key.algorithm} key")
        await self._repository.add_signing_key(key)
        await self.refresh()

    def signing_keys(self) -> list[SigningKey]:
        """List the known keys, newest first."""
        return self.ring.all()

    async def _forget_old(self) -> None:
        keys = await self._repository.signing_keys()
        needed = {key.kid for key in self._needed(keys)}
        await self._repository.remove_signing_keys([key.kid for key in keys if key.kid not in needed])

    def _needed(self, keys: Sequence[SigningKey]) -> list[SigningKey]:
        """Choose the keys that a valid token can name."""
        needed = []
        for purpose in Purpose:
            oldest_first = sorted(
                (key for key in keys if key.purpose is purpose), key=lambda key: key.active_ms
            )
            needed += [
                key
                for key, successor in pairwise(oldest_first)
                if successor.active_ms + _OLDEST_MS[purpose] >= self._clock_ms()
            ]
            needed += oldest_first[-1:]
        return needed


_KEY_TYPE = {Algorithm.RS256: "RSA", Algorithm.ES256: "EC", Algorithm.EDDSA: "OKP"}
