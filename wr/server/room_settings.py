"""Settings of the waiting room: rate limits of calls, and the intervals of admission and of live streams."""

from dataclasses import dataclass

from wr.model.limits import Limit, parse_limit
from wr.server.setting_fields import Group, setting
from wr.server.setting_values import seconds


@dataclass(frozen=True, kw_only=True)
class RoomSettings:
    """Settings under the headings Rate limits and Admission."""

    limit_enqueue: Limit = setting(
        Limit(10),
        "Joins from one client address, counted over all queues. All visitors of one office or one mobile "
        "network may share an address: raise the limit if you expect many of them",
        parse_limit,
        group=Group.LIMITS,
        form="COUNT/SECONDS",
    )
    limit_status: Limit = setting(
        Limit(60),
        "Status calls with one token. Leave calls have the same limit, counted separately",
        parse_limit,
        group=Group.LIMITS,
        form="COUNT/SECONDS",
    )
    limit_heartbeat: Limit = setting(
        Limit(30), "Heartbeats with one token", parse_limit, group=Group.LIMITS, form="COUNT/SECONDS"
    )
    limit_activity: Limit = setting(
        Limit(100), "Activity reports of one session", parse_limit, group=Group.LIMITS, form="COUNT/SECONDS"
    )
    limit_guess: Limit = setting(
        Limit(10),
        "Wrong keys, tokens and passes from one client address, counted separately by kind. Above the limit, "
        "the server refuses even a correct one from that address",
        parse_limit,
        group=Group.LIMITS,
        form="COUNT/SECONDS",
    )
    limit_caller: Limit = setting(
        Limit(3000),
        "Calls of the second API (/api/v1/waiting-queue) from one client address, without a user's token and "
        "without a key of the site. 500 visitors that poll every ten seconds need 3000/60",
        parse_limit,
        group=Group.LIMITS,
        form="COUNT/SECONDS",
    )
    limit_admin: Limit = setting(
        Limit(100), "Admin calls with the admin key", parse_limit, group=Group.LIMITS, form="COUNT/SECONDS"
    )
    admission_interval: float = setting(
        0.25,
        "Seconds between two admission passes. It does not change how many visitors get in: that is each "
        "queue's admission rate",
        seconds,
        group=Group.ADMISSION,
        form="SECONDS",
    )
    recovery_wait: float = setting(
        60.0,
        "Longest pause of admission, in seconds, after the store came back without positions that the server "
        "had acknowledged. Meanwhile the server restores them. Usually the pause is the queue's heartbeat "
        "interval; this is its upper limit",
        seconds,
        group=Group.ADMISSION,
        form="SECONDS",
    )
    live_interval: float = setting(
        2.0,
        "Seconds between two position updates on a live stream. Visitors far from the front get them less "
        "often",
        seconds,
        group=Group.ADMISSION,
        form="SECONDS",
    )
    ping_interval: float = setting(
        15.0,
        "Seconds between two pings on a WebSocket. If a client leaves two pings unanswered, the server "
        "closes the connection",
        seconds,
        group=Group.ADMISSION,
        form="SECONDS",
    )
