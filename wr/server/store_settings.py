"""Settings of the store: which server keeps all state, and how the embedded one saves it."""

from dataclasses import dataclass
from pathlib import Path

from wr.server.setting_fields import Group, setting
from wr.server.setting_values import choice, count, seconds_or_none


@dataclass(frozen=True, kw_only=True)
class StoreSettings:
    """Settings under the heading Store."""

    data_dir: Path = setting(
        Path("data"),
        "Folder for the embedded store's data, the admin-key file, and copies of queues and keys that help "
        "after the store lost data. A relative path starts at the current folder",
        Path,
        group=Group.STORE,
        form="FOLDER",
    )
    store_url: str = setting(
        "",
        "DragonflyDB, Valkey or Redis server that keeps all state: redis://host:6379, "
        "rediss://host:6379 (TLS), unix:///path, redis+cluster://host:6379,host:6379 or "
        "redis+sentinel://host:26379,host:26379/name. If it is not set, wr starts its own store in the data "
        "folder",
        group=Group.STORE,
        form="URL",
        also="DRAGONFLYDB_URL",
    )
    store_fsync: str = setting(
        "everysec",
        "How often the embedded Valkey writes its data to disk. everysec: a crash of the machine can lose "
        "the last second. always: a crash loses nothing, but the store is slower. An embedded DragonflyDB "
        "ignores this and saves once a minute",
        choice("everysec", "always"),
        group=Group.STORE,
        form="everysec|always",
    )
    store_memory: int = setting(
        0,
        "Memory that the embedded store may use, in MiB. When it is nearly full, the server refuses joins. "
        "0 means half of the memory of the machine or container; with DragonflyDB, its own default",
        count,
        group=Group.STORE,
        form="MIB",
    )
    store_patience: float = setting(
        60.0,
        "Seconds that the server waits at its start for a store that does not answer. After that the start "
        "fails. 0 means no waiting",
        seconds_or_none,
        group=Group.STORE,
        form="SECONDS",
    )
    store_prefix: str = setting(
        "wr",
        "First part of every key in the store. Servers with the same store and the same prefix form one "
        "waiting room. Servers with different prefixes do not affect each other",
        group=Group.STORE,
    )
