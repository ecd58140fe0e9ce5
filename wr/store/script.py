"""Lua scripts: read from their files, with the shared pieces that their `--@use` line names."""

import hashlib
from functools import cache
from importlib.resources import files

_USE = "--@use "


class Script:
    """One operation's Lua, ready to be called by its SHA-1."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __repr__(self) -> str:
        return f"<Script {self.name}>"


@cache
def load_script(name: str) -> Script:
    """Read `scripts/<name>.lua`; the pieces of `scripts/lib` that its first line uses come before it."""
    folder = files("wr.store") / "scripts"
    text = (folder / f"{name}.lua").read_text("utf-8")
    first, _, rest = text.partition("\n")
    if not first.startswith(_USE):
        return Script(name, text)
    pieces = [(folder / "lib" / f"{piece}.lua").read_text("utf-8") for piece in first[len(_USE) :].split()]
    return Script(name, "\n".join([*pieces, rest]))
