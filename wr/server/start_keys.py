"""Loads the keys that a start needs: the admin key, signing keys, and the keys of the site and its users."""

from pathlib import Path

import structlog
import trio
from cryptography.exceptions import UnsupportedAlgorithm

from wr.api.user_queue.user_tokens import UserTokens, read_user_key
from wr.client.admin_client import ADMIN_KEY_FILE
from wr.room.pass_reader import SiteKeys, open_site_keys
from wr.room.signing_keys import SigningKeys
from wr.server.settings import Settings
from wr.server.startup import StartUpFailure
from wr.store.private_files import write_private
from wr.store.store import Store

log = structlog.get_logger("wr")

_SHORTEST_KEY = 16
"""The start warns about keys with fewer characters."""


async def load_signing_keys(signing_keys: SigningKeys, settings: Settings) -> None:
    """Load the signing keys from the store, or the session key from its file. Creates missing ones.

    Raises:
        StartUpFailure: a key cannot be read or used.
    """
    try:
        await signing_keys.open(settings.session_key_file)
    except (OSError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        what = (
            f"session_key_file {settings.session_key_file}" if settings.session_key_file else "signing keys"
        )
        raise StartUpFailure(f"{what}: {error}") from error


def read_user_tokens(settings: Settings) -> UserTokens | None:
    """Read the key that verifies users' tokens of the second API; None if that API asks for none.

    Raises:
        StartUpFailure: the key cannot be read or used.
    """
    if settings.waiting_queue_auth == "none":
        return None
    path = settings.waiting_queue_key_file
    try:
        return read_user_key(Path(path))
    except (OSError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise StartUpFailure(f"waiting_queue_key_file {path}: {error}") from error


def read_site_keys(settings: Settings) -> SiteKeys:
    """Read the keys that verify the site's own passes.

    Raises:
        StartUpFailure: a key cannot be read or used.
    """
    try:
        return open_site_keys(settings.pass_key)
    except (OSError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise StartUpFailure(f"pass_key {settings.pass_key}: {error}") from error


def warn_of_short_keys(settings: Settings) -> None:
    """Warn about short keys: the limit on guesses is per address, and an attacker may have many addresses."""
    for name in ("admin_key", "origin_key", "metrics_token"):
        if 0 < len(getattr(settings, name)) < _SHORTEST_KEY:
            log.warning(
                "a key is so short that it can be guessed: set one with 16 characters or more", setting=name
            )


async def shared_admin_key(store: Store, settings: Settings, generated: str) -> tuple[str, bool]:
    """Return the admin key, and whether it is new: the operator's, or else the one that all servers share.

    The data folder keeps a copy of a shared key, for commands that run on the same machine.
    """
    if settings.admin_key:
        return settings.admin_key, False
    key = await store.secrets.first_admin_key(generated)
    await trio.to_thread.run_sync(_write_admin_key, settings.data_dir, key)
    return key, key == generated


def _write_admin_key(data_dir: Path, key: str) -> None:
    path = data_dir / ADMIN_KEY_FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path, key + "\n")
    except OSError as error:
        log.warning(
            "cannot write the admin key for local commands; if you do not know the key, set --admin-key",
            file=str(path),
            error=str(error),
        )
