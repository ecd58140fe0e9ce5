"""Runs the store's scripts on Lua 5.4 with DragonflyDB's rules, on the data of a real server.

Each `redis.call` goes to the server; the differences from Valkey are those of DragonflyDB: undeclared
keys are errors, scores arrive as numbers, a number that is not an integer keeps its fraction on the way out
(so none may leave), and how a fraction is spelled in an argument is not to be relied on (so none may go in).
A server without memory refuses here each command that may need some, whatever the script wrote before.
"""

from typing import Any

import lupa.lua54
import redis

_KEYLESS = {b"TIME"}
_SANDBOX = """
unpack = nil
setmetatable(_G, {__index = function(_, name) error('nonexistent global variable ' .. tostring(name)) end})
"""


class DialectClient:
    """Replaces a client: runs scripts in this process instead of in the server."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def evalsha(self, *_arguments: Any) -> Any:
        raise redis.exceptions.NoScriptError("scripts run in the test process")

    def eval(self, text: str, key_count: int, *rest: Any) -> Any:
        runtime = lupa.lua54.LuaRuntime(encoding=None, unpack_returned_tuples=True)
        arguments = [_as_bytes(value) for value in rest]
        keys, values = arguments[:key_count], arguments[key_count:]

        def call(name: bytes, *parts: Any) -> Any:
            if any(isinstance(part, float) for part in parts):
                raise AssertionError(f"{name!r} was given a number with a fraction part: {parts}")
            if name.upper() not in _KEYLESS and parts[0] not in keys:
                raise AssertionError(f"script tried accessing undeclared key {parts[0]!r}")
            reply = self._client.execute_command(name.decode(), *parts)
            return _into_lua(runtime, name.upper(), reply)

        def pcall(name: bytes, *parts: Any) -> Any:
            try:
                return call(name, *parts)
            except redis.OutOfMemoryError as error:
                return runtime.table_from({b"err": b"OOM " + str(error).encode()})
            except redis.ResponseError as error:
                return runtime.table_from({b"err": str(error).encode()})

        scope = runtime.globals()
        scope[b"KEYS"] = runtime.table_from(keys)
        scope[b"ARGV"] = runtime.table_from(values)
        scope[b"redis"] = runtime.table_from({b"call": call, b"pcall": pcall})
        runtime.execute(_SANDBOX)
        return _out_of_lua(runtime.execute(text))


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _into_lua(runtime: Any, name: bytes, reply: Any) -> Any:
    if name == b"ZSCORE" and reply is not None:
        return float(reply)
    if name == b"ZPOPMIN":
        # The library returns pairs of members and scores; scripts get a flat list.
        return runtime.table_from([part for member, score in reply for part in (member, float(score))])
    if name == b"TIME":
        return runtime.table_from(list(reply))
    if name == b"HMGET":
        return runtime.table_from([False if value is None else value for value in reply])
    if reply is None:
        return False
    if isinstance(reply, list | tuple):
        return runtime.table_from(list(reply))
    return int(reply) if isinstance(reply, bool | float) else reply


def _out_of_lua(value: Any) -> Any:
    if isinstance(value, float):
        raise AssertionError(  # noqa: TRY004 - the script is wrong, not a type
            f"the script returned {value}: DragonflyDB would not make it an integer"
        )
    if lupa.lua54.lua_type(value) == "table":
        return [_out_of_lua(part) for part in value.values()]
    return value
