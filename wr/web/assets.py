"""Assets: files of the pages, served from memory."""

import gzip
from collections.abc import Callable, Mapping
from hashlib import blake2b
from importlib.resources import files
from importlib.resources.abc import Traversable
from threading import Lock

import msgspec

from wr.web.console_settings import console_settings

QUEUE_SETTINGS = b"{{ queue_settings }}"
"""Mark in the console's page for the description of the settings."""
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
    """One file, as it is and compressed."""

    content: bytes
    compressed: bytes | None
    """With gzip; None where that would gain nothing."""
    content_type: str
    version: str
    """Changes with the content; for `?v=` in addresses and for `ETag`."""


def make_asset(content: bytes, content_type: str, *, is_compressible: bool = True) -> Asset:
    """Compress `content` and give it a version; 1 ms for 50 KB."""
    compressed = gzip.compress(content, 9, mtime=0) if is_compressible else content
    return Asset(
        content=content,
        compressed=compressed if len(compressed) < len(content) else None,
        content_type=content_type,
        version=blake2b(content, digest_size=9).hexdigest(),
    )


class AssetStore:
    """Finds assets by name; each is read once, when it is first asked for.

    A name is a path below one of the folders given, the first that has it. Names are looked up in a list made
    beforehand, so that no name can lead out of the folders. `fillings` are written into HTML files, each in
    place of its mark.
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
        """List all assets."""
        return sorted(self._files)

    def holds(self, name: str) -> bool:
        """Whether there is an asset of that name, without reading it."""
        return name in self._files

    def at_hand(self, name: str) -> Asset | None:
        """Find an asset that has been read before; None when it would have to be read now."""
        return self._assets.get(name)

    def find(self, name: str) -> Asset | None:
        """Find an asset; None when there is none of that name. 45 ms for 1 MB the first time, then free.

        Threads may ask at the same time: one reads, and all get the same object.
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
        """Give the address under which an asset may be kept for ever.

        Raises:
            KeyError: there is no such asset.
        """
        asset = self.find(name)
        if asset is None:
            raise KeyError(name)
        return f"/wr-assets/{name}?v={asset.version}"


def own_assets() -> AssetStore:
    """Open the shelf of this package: its own files, and those of others that the set-up has fetched."""
    here = files("wr.web")
    return AssetStore(here / "static", here / "vendor", fillings={QUEUE_SETTINGS: console_settings})


def _files_below(folder: Traversable, prefix: str = "") -> list[tuple[str, Traversable]]:
    if not folder.is_dir():
        return []
    found = []
    for each in folder.iterdir():
        if each.is_dir():
            found += _files_below(each, f"{prefix}{each.name}/")
        elif each.name.rpartition(".")[2] in _KINDS:
            found.append((prefix + each.name, each))
    return found
