"""The recovery file in the data folder: lets a server restore lost data even if it ended together with the
store."""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import msgspec

from wr.model.signing import SigningKey
from wr.model.webhooks import Webhook
from wr.recovery.acknowledged_state import QueueRecord
from wr.store.private_files import write_private
from wr.store.recall import AdmittedVisitor

FILE_NAME = "recovery.json"


class KeptSecrets(msgspec.Struct, frozen=True, kw_only=True):
    """Keys that sign tokens, passes and addresses, and the admin key if it is a generated one."""

    signing_keys: Sequence[SigningKey] = ()
    admin_key: str = ""
    address_key: bytes = b""


class RecoveryContents(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the file."""

    form: Literal[1] = 1
    store: str
    """The store that the file belongs to (see `store_mark`)."""
    rounds: int = 0
    queues: Sequence[QueueRecord] = ()
    secrets: KeptSecrets = KeptSecrets()
    webhooks: Sequence[Webhook] = ()
    admitted: dict[str, Sequence[AdmittedVisitor]] = {}
    """The last admitted visitors of each queue."""


def store_mark(url: str, prefix: str) -> str:
    """Return a hash that identifies a store without revealing its password.

    Data of one store must never be restored to another.
    """
    return blake2b(f"{url}\n{prefix}".encode(), digest_size=12).hexdigest()


def read_kept(folder: Path, store: str) -> RecoveryContents | None:
    """Read the recovery file of a data folder; None if there is none, or it belongs to another store.

    Raises:
        OSError, ValueError: the file cannot be read or decoded.
    """
    try:
        text = (folder / FILE_NAME).read_bytes()
    except FileNotFoundError:
        return None
    kept = msgspec.json.decode(text, type=RecoveryContents)
    return kept if kept.store == store else None


def write_kept(folder: Path, kept: RecoveryContents) -> None:
    """Write the recovery file atomically. Only its owner can read it.

    Raises:
        OSError: the file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = folder / f"{FILE_NAME}.new"
    write_private(temporary, msgspec.json.encode(kept).decode())
    temporary.replace(folder / FILE_NAME)
