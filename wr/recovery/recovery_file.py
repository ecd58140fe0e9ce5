"""The recovery file: what a server keeps in its data folder, in case it ends together with the store."""

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
    """Keys that tokens, passes and addresses are signed with, and the operators' key where it is ours."""

    signing_keys: Sequence[SigningKey] = ()
    admin_key: str = ""
    address_key: bytes = b""


class RecoveryContents(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says."""

    form: Literal[1] = 1
    store: str
    """Which store it is about (see `store_mark`)."""
    rounds: int = 0
    queues: Sequence[QueueRecord] = ()
    secrets: KeptSecrets = KeptSecrets()
    webhooks: Sequence[Webhook] = ()
    admitted: dict[str, Sequence[AdmittedVisitor]] = {}
    """The visitors of each queue that were let in last."""


def store_mark(url: str, prefix: str) -> str:
    """Name a store, without its password: what was kept about one is told to no other."""
    return blake2b(f"{url}\n{prefix}".encode(), digest_size=12).hexdigest()


def read_kept(folder: Path, store: str) -> RecoveryContents | None:
    """Read the file of a data folder; None when there is none, or it is about another store.

    Raises:
        OSError, ValueError: it cannot be read, or makes no sense.
    """
    try:
        text = (folder / FILE_NAME).read_bytes()
    except FileNotFoundError:
        return None
    kept = msgspec.json.decode(text, type=RecoveryContents)
    return kept if kept.store == store else None


def write_kept(folder: Path, kept: RecoveryContents) -> None:
    """Write the file, whole or not at all; only its owner can read it.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = folder / f"{FILE_NAME}.new"
    write_private(temporary, msgspec.json.encode(kept).decode())
    temporary.replace(folder / FILE_NAME)
