"""Lua scripts: read from their files, with the shared pieces that their `--@use` line names, and called."""

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import redis

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


def evaluate(client: redis.Redis, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
    """Call a script by its SHA-1, and by its text when the store does not know it."""
    try:
        return client.evalsha(script.sha, len(keys), *keys, *arguments)
    except redis.exceptions.NoScriptError:
        return client.eval(script.text, len(keys), *keys, *arguments)


def evaluate_each(
    client: redis.Redis, script: Script, calls: Sequence[tuple[Sequence[str], Sequence[Any]]]
) -> list[Any]:
    """Call a script for each (keys, arguments) in one pipeline; those the store did not know it for again.

    A call that failed has its exception for a reply; the first is raised when all have failed.
    """
    with client.pipeline(transaction=False) as pipeline:
        for keys, arguments in calls:
            pipeline.evalsha(script.sha, len(keys), *keys, *arguments)
        replies = pipeline.execute(raise_on_error=False)
    for index, reply in enumerate(replies):
        if isinstance(reply, redis.exceptions.NoScriptError):
            keys, arguments = calls[index]
            try:
                replies[index] = evaluate(client, script, keys, arguments)
            except redis.ResponseError as error:
                replies[index] = error
    failed = [reply for reply in replies if isinstance(reply, Exception)]
    if failed and len(failed) == len(replies):
        raise failed[0]
    return replies
