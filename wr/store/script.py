"""Lua scripts: read from their files together with the pieces of `scripts/lib` that they use, and called."""

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Generic, TypeVar

import redis

Argument = bytes | str | int | float
"""What a script is given in ARGV."""
ScriptCall = tuple[list[str], list[Argument]]
"""KEYS and ARGV of one call."""
MixedReply = list[Any]
"""A reply that lists numbers and bytes of several items one after another. Its readers know what each is."""

Raw = TypeVar("Raw")
RawT = TypeVar("RawT", covariant=True)
_USE = "--@use "


class Script(Generic[RawT]):
    """The Lua text of one operation, called by its SHA-1.

    `RawT` is the type of its reply, as the header of the Lua file describes it. Nothing checks a reply: the
    header, and the tests that hold it against the file, are trusted.
    """

    def __init__(self, name: str, text: str, *, may_repeat: bool = False) -> None:
        self.name = name
        self.text = text
        self.may_repeat = may_repeat
        """Whether a call that was carried out in part may be sent again. A count is then one too high."""
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __repr__(self) -> str:
        return f"<Script {self.name}>"


@cache
def load_script(name: str, *, may_repeat: bool = False) -> Script[Any]:
    """Read `scripts/<name>.lua`, after the pieces of `scripts/lib` that its first line names.

    The module that loads a script declares the type of its reply.
    """
    folder = files("wr.store") / "scripts"
    text = (folder / f"{name}.lua").read_text("utf-8")
    first, _, rest = text.partition("\n")
    if not first.startswith(_USE):
        return Script(name, text, may_repeat=may_repeat)
    pieces = [(folder / "lib" / f"{piece}.lua").read_text("utf-8") for piece in first[len(_USE) :].split()]
    return Script(name, "\n".join([*pieces, rest]), may_repeat=may_repeat)


def evaluate(
    client: redis.Redis, script: Script[Raw], keys: Sequence[str], arguments: Sequence[Argument]
) -> Raw:
    """Call a script by its SHA-1, or by its text if the store does not know it."""
    reply: Any
    try:
        reply = client.evalsha(script.sha, len(keys), *keys, *arguments)
    except redis.exceptions.NoScriptError:
        reply = client.eval(script.text, len(keys), *keys, *arguments)
    answer: Raw = reply
    return answer


def evaluate_each(
    client: redis.Redis, script: Script[Raw], calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]
) -> list[Raw | Exception]:
    """Call a script for each (keys, arguments) in one pipeline, and again for those that did not find it.

    The reply of a call that failed is its exception. If all have failed, the first exception is raised.
    """
    with client.pipeline(transaction=False) as pipeline:
        for keys, arguments in calls:
            pipeline.evalsha(script.sha, len(keys), *keys, *arguments)
        replies: list[Raw | Exception] = pipeline.execute(raise_on_error=False)
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
