"""Settings of the running process: shutdown, logs, access to the metrics, and the demo queues."""

from dataclasses import dataclass

from wr.model.client_address import Network, parse_networks
from wr.server.setting_fields import Group, setting
from wr.server.setting_values import boolean, choice, log_level, on_or_off, seconds


@dataclass(frozen=True, kw_only=True)
class RunningSettings:
    """Settings under the heading Running."""

    grace: float = setting(
        10.0,
        "Seconds that open requests and then the last events share when the server stops; storing what is "
        "left, and stopping the embedded store, take a few seconds more",
        seconds,
        group=Group.RUNNING,
        form="SECONDS",
    )
    log_format: str = setting(
        "text",
        "Format of the log. text: lines for people. json: one JSON object per line, for programs",
        choice("text", "json"),
        group=Group.RUNNING,
        form="text|json",
    )
    log_level: str = setting(
        "info",
        "Lowest level that the server logs",
        log_level,
        group=Group.RUNNING,
        form="debug|info|warning|error",
        also="LOG_LEVEL",
    )
    access_log: bool = setting(
        False,
        "Log one line per request: route, status, milliseconds, request id and client address. The line "
        "never contains the path itself, the query or a token",
        on_or_off,
        group=Group.RUNNING,
        form="on|off",
    )
    metrics_from: tuple[Network, ...] = setting(
        parse_networks("127.0.0.0/8, ::1/128, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7"),
        "Addresses or networks that may read /metrics, separated by commas. It counts only if no metrics "
        "token is set. An empty value lets no address read it. The default allows private networks",
        parse_networks,
        group=Group.RUNNING,
        form="NETWORKS",
    )
    metrics_token: str = setting(
        "",
        "Secret that a reader of /metrics sends as a bearer token, from any address. Set the variable, not "
        "the option",
        group=Group.RUNNING,
        form="TOKEN",
    )
    demo_queue: bool = setting(
        False,
        "Create the queues demo, concert-tickets and concert-1 at the start, unless there is a queue already",
        boolean,
        group=Group.RUNNING,
    )
