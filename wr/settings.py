"""Every setting, once: type, default, environment name, help."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from wr.model.client_address import Network, parse_networks
from wr.model.limits import Limit, parse_limit
from wr.model.signing import Algorithm


class BadSetting(ValueError):
    """A setting has a value that it cannot have; the message names it and says what it takes."""


def _setting(default: Any, help_text: str, read: Any = str) -> Any:
    return field(default=default, metadata={"help": help_text, "read": read})


def _boolean(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("", "0", "false", "no", "off"):
        return False
    raise ValueError(f"'{text}' is neither yes nor no")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e9:
        raise ValueError(f"'{text}' is not a number of seconds above 0")
    return value


def _choice(*choices: str) -> Any:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"'{text}' is none of {', '.join(choices)}")
        return text

    return read


def _algorithm(text: str) -> Algorithm:
    return Algorithm(_choice(*(str(algorithm) for algorithm in Algorithm))(text))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `wr serve` is told. Each field `x_y` is the flag `--x-y` and the environment variable `WR_X_Y`."""

    bind: str = _setting("127.0.0.1:8080", "Address and port to listen on; port 0 picks a free one")
    data_dir: Path = _setting(Path("data"), "Folder of the embedded store and the admin key file", Path)
    store_url: str = _setting(
        "", "Store to use, such as redis://host:6379 or unix:///path; empty: start an embedded one"
    )
    store_fsync: str = _setting(
        "everysec",
        "When the embedded store writes to disk: everysec, or always (slower, loses nothing)",
        _choice("everysec", "always"),
    )
    store_prefix: str = _setting("wr", "First part of every key, to keep several waiting rooms apart")
    admin_key: str = _setting(
        "", "Key of the admin API; empty: one is generated, printed once and kept in the store"
    )
    trusted_proxies: tuple[Network, ...] = _setting(
        parse_networks("127.0.0.0/8, ::1/128"),
        "Comma-separated addresses or networks whose X-Forwarded-For is believed",
        parse_networks,
    )
    limit_enqueue: Limit = _setting(
        Limit(10), "Joins per client address, COUNT/SECONDS; 0: none", parse_limit
    )
    limit_status: Limit = _setting(Limit(60), "Status calls per token, COUNT/SECONDS; 0: none", parse_limit)
    limit_heartbeat: Limit = _setting(Limit(30), "Heartbeats per token, COUNT/SECONDS; 0: none", parse_limit)
    limit_activity: Limit = _setting(
        Limit(100), "Activity reports per session, COUNT/SECONDS; 0: none", parse_limit
    )
    limit_admin: Limit = _setting(Limit(100), "Admin calls per key, COUNT/SECONDS; 0: none", parse_limit)
    admission_interval: float = _setting(0.25, "Seconds between two admission passes", _seconds)
    position_token_lifetime: float = _setting(
        1800.0, "Seconds that a position token lasts; a visitor who keeps asking gets a fresh one", _seconds
    )
    position_algorithm: Algorithm = _setting(
        Algorithm.HS256, "How position tokens are signed: HS256, RS256, ES256 or EdDSA", _algorithm
    )
    session_algorithm: Algorithm = _setting(
        Algorithm.RS256, "How session tokens are signed: HS256, RS256, ES256 or EdDSA", _algorithm
    )
    session_key_file: str = _setting("", "PEM file with the private key that signs session tokens")
    grace: float = _setting(10.0, "Seconds that requests under way have to finish at shutdown", _seconds)
    log_format: str = _setting(
        "text", "Form of the log: text for people, json for machines", _choice("text", "json")
    )
    demo_queue: bool = _setting(False, "Make a queue called demo if there is no queue yet", _boolean)
    show_admin_key: bool = _setting(
        False,
        "Print the admin key at every start, not only when it is generated",
        _boolean,
    )

    @property
    def limits(self) -> dict[str, Limit]:
        """The limits by scope."""
        return {
            "enqueue": self.limit_enqueue,
            "status": self.limit_status,
            "heartbeat": self.limit_heartbeat,
            "activity": self.limit_activity,
            "admin": self.limit_admin,
        }


def environment_name(setting: str) -> str:
    """Name the environment variable of a setting."""
    return f"WR_{setting.upper()}"


def load_settings(flags: Mapping[str, str | None], environment: Mapping[str, str] = os.environ) -> Settings:
    """Put settings together: a flag wins over the environment, the environment over the default.

    Raises:
        BadSetting: one has a value that it cannot have.
    """
    values: dict[str, Any] = {}
    for setting in fields(Settings):
        name = environment_name(setting.name)
        text = flags.get(setting.name)
        source = f"--{setting.name.replace('_', '-')}"
        if text is None:
            text, source = environment.get(name), name
        if text is None:
            continue
        try:
            values[setting.name] = setting.metadata["read"](text)
        except ValueError as error:
            raise BadSetting(f"{source}: {error}") from error
    settings = Settings(**values)
    _check_bind(settings.bind)
    return settings


def _check_bind(bind: str) -> None:
    host, separator, port = bind.rpartition(":")
    if not separator or not host or not port.isdigit() or int(port) > 65535:
        raise BadSetting(f"bind: '{bind}' is not ADDRESS:PORT, such as 127.0.0.1:8080")
