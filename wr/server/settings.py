"""All settings of `wr serve`, described for help texts, and read from flags and the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_address
from typing import Any

from wr.model.limits import Limit
from wr.server.event_settings import EventSettings
from wr.server.key_settings import KeySettings
from wr.server.network_settings import NetworkSettings
from wr.server.room_settings import RoomSettings
from wr.server.running_settings import RunningSettings
from wr.server.setting_fields import Group
from wr.server.setting_values import boolean
from wr.server.store_settings import StoreSettings


class BadSetting(ValueError):
    """A setting has a value that is not allowed. The message names the setting and the allowed values."""


@dataclass(frozen=True, kw_only=True)
class Settings(NetworkSettings, StoreSettings, KeySettings, RoomSettings, EventSettings, RunningSettings):
    """The settings of one server. The field `x_y` is the flag `--x-y` and the variable `WR_X_Y`."""

    @property
    def limits(self) -> dict[str, Limit]:
        """The rate limits by scope."""
        return {
            "enqueue": self.limit_enqueue,
            "status": self.limit_status,
            "heartbeat": self.limit_heartbeat,
            "activity": self.limit_activity,
            "admin": self.limit_admin,
            "guess": self.limit_guess,
            "caller": self.limit_caller,
        }


@dataclass(frozen=True, kw_only=True)
class SettingDescription:
    """One setting as the command line, the environment and the documentation name it."""

    name: str
    flag: str
    variable: str
    also: str
    """A variable without the prefix, read if `variable` is not set; empty if there is none."""
    form: str
    """What a value looks like, such as SECONDS; empty for a switch."""
    default: str
    """The default as text that `load_settings` reads; empty if there is none."""
    help: str
    group: Group
    is_switch: bool


def describe_settings() -> tuple[SettingDescription, ...]:
    """Describe every setting, sorted by group."""
    described = [
        SettingDescription(
            name=setting.name,
            flag=f"--{setting.name.replace('_', '-')}",
            variable=f"WR_{setting.name.upper()}",
            also=setting.metadata["also"],
            form="" if setting.metadata["read"] is boolean else setting.metadata["form"],
            default=_spell(setting.default, setting.metadata["form"]),
            help=_help(setting.name, setting.metadata),
            group=setting.metadata["group"],
            is_switch=setting.metadata["read"] is boolean,
        )
        for setting in fields(Settings)
    ]
    order = list(Group)
    return tuple(sorted(described, key=lambda setting: order.index(setting.group)))


def with_port(bind: str | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """Add a port to the address to listen on, if it has none: `PORT`, or 8080 if that is not set.

    Without an address, the result is the default address with `PORT`; None if `PORT` is not set either.
    """
    port = environment.get("PORT", "")
    host, _, default_port = Settings.bind.rpartition(":")
    if bind is None:
        return f"{host}:{port}" if port else None
    try:
        address = ip_address(bind.removeprefix("[").removesuffix("]"))
    except ValueError:
        return bind
    name = f"[{address}]" if ":" in str(address) else str(address)
    return f"{name}:{port or default_port}"


def _help(name: str, metadata: Mapping[str, Any]) -> str:
    text: str = metadata["help"]
    also = metadata["also"]
    return f"{text}. If WR_{name.upper()} is not set, the server reads {also}" if also else text


def _spell(default: Any, form: str) -> str:
    if isinstance(default, bool):
        yes, no = form.split("|") if "|" in form else ("yes", "no")
        return yes if default else no
    if isinstance(default, float):
        return f"{default:g}"
    if isinstance(default, tuple):
        return ", ".join(map(str, default))
    return str(default)


def load_settings(flags: Mapping[str, str | None], environment: Mapping[str, str] = os.environ) -> Settings:
    """Read all settings: a flag overrides the environment, the environment overrides the default.

    A variable without the prefix, such as `PORT`, counts only if neither the flag nor the setting's own
    variable is given. If such a variable is empty, it counts as not set.

    Raises:
        BadSetting: a setting has a value that is not allowed.
    """
    values: dict[str, Any] = {}
    readers = {setting.name: setting.metadata["read"] for setting in fields(Settings)}
    for setting in describe_settings():
        text, source = flags.get(setting.name), setting.flag
        if text is None:
            text, source = environment.get(setting.variable), setting.variable
        if setting.name == "bind":
            text, source = with_port(text, environment), setting.also if text is None else source
        elif text is None and setting.also:
            text, source = environment.get(setting.also) or None, setting.also
        if text is None:
            continue
        try:
            values[setting.name] = readers[setting.name](text)
        except ValueError as error:
            raise BadSetting(f"{source}: {error}") from error
    return Settings(**values)
