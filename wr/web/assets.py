"""Assets: the files of the pages, read and compressed once and then served from memory."""

import gzip
from collections.abc import Callable, Mapping
from hashlib import blake2b
from importlib.resources import files
from importlib.resources.abc import Traversable
from threading import Lock

import msgspec

from wr.web.console_settings import console_settings

QUEUE_SETTINGS = b"{{ queue_settings }}"
"""Placeholder in the console's page for the description of the settings."""
_KINDS = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "ts": "text/plain; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
}
_ALREADY_SMALL = {"png"}


class Asset(msgspec.Struct, frozen=True):
    """One file, in its original and its compressed form."""

    content: bytes
    compressed: bytes | None
    """The content compressed with gzip. None if that is not smaller."""
    content_type: str
    version: str
    """A hash of the content, for `?v=` in URLs and for `ETag`."""


def make_asset(content: bytes, content_type: str, *, is_compressible: bool = True) -> Asset:
    """Compress `content` and compute its version. Takes 1 ms for 50 KB."""
    compressed = gzip.compress(content, 9, mtime=0) if is_compressible else content
    return Asset(
        content=content,
        compressed=compressed if len(compressed) < len(content) else None,
        content_type=content_type,
        version=blake2b(content, digest_size=9).hexdigest(),
    )


class AssetStore:
    """Finds assets by name. Each is read once, at its first use.

    A name is a path below one of the given folders. If several have it, the first counts. Names are looked up
    in a list that is built at the start, so no name can lead out of the folders. In HTML files each mark of
    `fillings` is replaced by its text.
    """

    def __init__(
        self, *folders: Traversable, fillings: Mapping[bytes, Callable[[], bytes]] | None = None
    ) -> None:
        self._fillings = dict(fillings or {})
        self._files: Mapping[str, Traversable] = {
            name: file for folder in reversed(folders) for name, file in _files_below(folder)
        }
        self._assets: dict[str, Asset] = {}
        self._reading = Lock()

    def names(self) -> list[str]:
        """Return the names of all assets."""
        return sorted(self._files)

    def holds(self, name: str) -> bool:
        """Whether there is an asset with this name. Does not read it."""
        return name in self._files

    def at_hand(self, name: str) -> Asset | None:
        """Return an asset that was already read, else None."""
        return self._assets.get(name)

    def find(self, name: str) -> Asset | None:
        """Return an asset, or None if there is none with this name. The first time takes 45 ms for 1 MB.

        Several threads may call it at the same time: one reads, and all get the same object.
        """
        asset = self._assets.get(name)
        if asset is not None or name not in self._files:
            return asset
        with self._reading:
            if name not in self._assets:
                self._assets[name] = self._read(name)
            return self._assets[name]

    def _read(self, name: str) -> Asset:
        ending = name.rpartition(".")[2]
        content = self._files[name].read_bytes()
        if ending == "html":
            for mark, text in self._fillings.items():
                if mark in content:
                    content = content.replace(mark, text())
        return make_asset(content, _KINDS[ending], is_compressible=ending not in _ALREADY_SMALL)

    def address(self, name: str) -> str:
        """Return the URL of an asset's current version. Browsers may cache it for ever.

        Raises:
            KeyError: there is no such asset.
        """
        asset = self.find(name)
        if asset is None:
            raise KeyError(name)
        return f"/wr-assets/{name}?v={asset.version}"


def own_assets() -> AssetStore:
    """Return the assets of this package: its own files, and third-party files that the set-up has fetched."""
    here = files("wr.web")
    return AssetStore(here / "static", here / "vendor", fillings={QUEUE_SETTINGS: console_settings})


def _files_below(folder: Traversable, prefix: str = "") -> list[tuple[str, Traversable]]:
    if not folder.is_dir():
        return []
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _files_below(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in _KINDS:
            found.append((prefix + entry.name, entry))
    return found
