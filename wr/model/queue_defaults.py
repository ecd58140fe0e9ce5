"""Settings that a new queue gets unless its operator says: a concert's, of the second API, has others."""

import re

CONCERT_SESSION_S = 300
OTHER_SESSION_S = 3600
CONCERT_SILENCE_S = 1800
"""How long a place in a concert's queue outlasts the last sign of its user.

The second API knows no heartbeat: a client may ask for its rank now and then, or only when its user looks.
With a minute such a user would lose the place; with a day everybody who has left since the morning would be
let in, each to five minutes of somebody else's room.
"""
OTHER_SILENCE_S = 60
_CONCERT_QUEUE = re.compile(r"concert-[1-9]\d*")


def default_session_timeout_s(queue_id: str) -> int:
    """How long sessions of a new queue last unless its operator says: five minutes for a concert's (its
    document, section 5), an hour for others."""
    return CONCERT_SESSION_S if _CONCERT_QUEUE.fullmatch(queue_id) else OTHER_SESSION_S


def default_heartbeat_timeout_s(queue_id: str) -> int:
    """How long a place in a new queue outlasts silence unless its operator says: half an hour in a concert's,
    a minute in others."""
    return CONCERT_SILENCE_S if _CONCERT_QUEUE.fullmatch(queue_id) else OTHER_SILENCE_S
