"""The settings of a queue, each with its type, limits, default and words; the rest of the program reads them
from here."""

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from wr.model.branding import COLOR_PATTERN
from wr.model.gate_rules import OutagePolicy
from wr.model.ids import QUEUE_ID_PATTERN
from wr.model.priorities import HIGHEST_PRIORITY, EntryRule
from wr.model.session_binding import SessionBinding
from wr.model.setting import Control, Group, Setting, settings_in

WEEK_S = 7 * 24 * 3600

QueueId = Annotated[
    str,
    Meta(
        pattern=QUEUE_ID_PATTERN,
        description="Queue identifier: letters, digits, dot, underscore and hyphen",
        examples=["concert-tickets"],
    ),
]


class QueueStatus(StrEnum):
    """What a queue does right now."""

    ACTIVE = "active"
    """Visitors join and are let in."""
    PAUSED = "paused"
    """Visitors join and keep their places, but are not let in."""
    MAINTENANCE = "maintenance"
    """Visitors cannot join and are not let in. Places are kept."""


class UniqueBy(StrEnum):
    """Which visitors may hold one place only. A place that was taken with a proof (a pass, a call by the site
    itself, the cookie or token of a browser) is given back to that proof alone, whatever the rule."""

    CLIENT = "client"
    """Same `metadata.user_id`, client address and user agent: the place is given back to such a caller, with
    no proof, unless it was taken with one. For places that are not worth stealing: a stranger that knows a
    user id, sits behind the same address and names the same browser takes the place. Without a user id every
    join is new."""
    USER_ID = "user_id"
    """Same `metadata.user_id`, wherever from. The id counts only with a pass, or in a call by the site
    itself; a visitor that merely claims it gets a place of its own, and none while the id holds one."""
    IP = "ip"
    """One place for each client address. It is given back to its token alone."""
    NONE = "none"
    """Every join is a new place, unless it brings a position token, or a pass that has one."""


class QueueSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator sets about a queue.

    To add a setting, add a field here, as the last one, and write the code that obeys it. Messages, command
    line, console and README follow. The order of fields is their order in messages.
    """

    id: QueueId
    name: Annotated[
        str,
        Meta(min_length=1, max_length=200, description="What visitors see", examples=["Concert"]),
        Setting(Group.PEOPLE, "Name", is_public=True, is_in_every_answer=True, default_in_words="the id"),
    ]
    target_url: Annotated[
        str,
        Meta(
            max_length=2048,
            description="Where an admitted visitor goes: an http or https URL",
            examples=["https://example.com/checkout"],
        ),
        Setting(
            Group.PEOPLE, "Where people go when they are let in", control=Control.URL, is_in_every_answer=True
        ),
    ]
    max_active_users: Annotated[
        int,
        Meta(ge=1, le=1_000_000_000, description="Sessions that may be active at once"),
        Setting(Group.PACE, "Maximum people inside", unit="at once", is_later=True, is_in_every_answer=True),
    ] = 1000
    max_queue_size: Annotated[
        int,
        Meta(ge=0, le=1_000_000_000, description="People who may wait at once; 0 means unlimited"),
        Setting(
            Group.PACE,
            "Maximum people in line",
            unit="people",
            hint="0: no limit",
            is_later=True,
            is_in_every_answer=True,
        ),
    ] = 50_000
    admission_rate: Annotated[
        float,
        Meta(gt=0, le=1_000_000, description="People let in per second; may be a fraction above 0"),
        Setting(
            Group.PACE,
            "Admission rate",
            unit="per second",
            instead="To stop letting visitors in, pause the queue.",
            is_in_every_answer=True,
        ),
    ] = 10.0
    session_timeout_seconds: Annotated[
        int,
        Meta(ge=1, le=WEEK_S, description="Seconds that a session lasts from its admission"),
        Setting(
            Group.TIMES,
            "Time inside",
            unit="seconds",
            is_in_every_answer=True,
            # Section 5 of the document of the second API.
            concert_default=300,
        ),
    ] = 3600
    heartbeat_interval_seconds: Annotated[
        int,
        Meta(ge=1, le=3600, description="Seconds between two heartbeats"),
        Setting(Group.TIMES, "Heartbeat every", unit="seconds", is_public=True, is_in_every_answer=True),
    ] = 10
    heartbeat_timeout_seconds: Annotated[
        int,
        Meta(ge=2, le=WEEK_S, description="Seconds of silence after which a place in line is lost"),
        Setting(
            Group.TIMES,
            "Silence before a place is lost",
            unit="seconds",
            is_public=True,
            is_in_every_answer=True,
            # The second API knows no heartbeat: a client may ask for its rank now and then, or only when its
            # user looks. With a minute such a user would lose the place. With a day everybody who has left
            # since the morning would be let in, and each would take a session of five minutes from another.
            concert_default=1800,
        ),
    ] = 60
    unique_by: Annotated[
        UniqueBy,
        Setting(
            Group.PEOPLE,
            "How visitors are told apart",
            choices={
                "client": "user id, address and browser",
                "user_id": "proven user id",
                "ip": "address",
                "none": "every join is a new visitor",
            },
            is_in_every_answer=True,
        ),
    ] = UniqueBy.CLIENT
    status: Annotated[
        QueueStatus,
        Setting(
            Group.PACE,
            "Status",
            control=Control.BUTTONS,
            choices={
                "active": "visitors join and are let in",
                "paused": "visitors join, but are not let in",
                "maintenance": "visitors cannot join and are not let in; places are kept",
            },
            is_public=True,
            is_later=True,
            is_in_every_answer=True,
        ),
    ] = QueueStatus.ACTIVE
    message: Annotated[
        str,
        Meta(
            max_length=500,
            description="What the operator says to everyone in line; may be empty",
            examples=["Doors open at 10."],
        ),
        Setting(
            Group.PAGE,
            "Message",
            control=Control.LINES,
            hint="Shown to everyone in line",
            is_public=True,
        ),
    ] = ""
    logo_url: Annotated[
        str,
        Meta(
            max_length=2048,
            description="Picture at the top of the waiting page: an http or https URL, or empty",
        ),
        Setting(Group.PAGE, "Address of the logo", control=Control.URL, is_public=True),
    ] = ""
    accent_color: Annotated[
        str,
        Meta(
            pattern=COLOR_PATTERN,
            description="Color of the progress bar and the buttons, as #rrggbb, or empty",
            examples=["#0b5fff"],
        ),
        Setting(
            Group.PAGE,
            "Accent colour",
            control=Control.COLOUR,
            hint="Such as #0b5cad",
            is_public=True,
            is_later=True,
        ),
    ] = ""
    background_color: Annotated[
        str,
        Meta(
            pattern=COLOR_PATTERN,
            description="Color behind everything, as #rrggbb, or empty",
            examples=["#ffffff"],
        ),
        Setting(
            Group.PAGE,
            "Background colour",
            control=Control.COLOUR,
            hint="Such as #ffffff",
            is_public=True,
            is_later=True,
        ),
    ] = ""
    support_url: Annotated[
        str,
        Meta(
            max_length=2048,
            description="Where visitors find help: an http, https, mailto or tel URL, or empty",
            examples=["https://example.com/help"],
        ),
        Setting(Group.PAGE, "Address of the help page", control=Control.URL, is_public=True),
    ] = ""
    page_template: Annotated[
        str,
        Meta(
            max_length=12_000,
            description="A Jinja2 template in place of the waiting page, or empty; runs sandboxed",
        ),
        Setting(
            Group.PAGE,
            "Template of the page",
            control=Control.LINES,
            hint="Jinja2; it replaces the standard page. If empty, the queue uses the standard page",
            is_later=True,
            is_in_lists=False,
        ),
    ] = ""
    open_paths: Annotated[
        str,
        Meta(
            max_length=4000,
            description="Paths of the site for which visitors need no session, separated by spaces; "
            "`/assets/*` stands for every path that begins with `/assets/`. A path that sites may read in "
            "two ways, with `%`, `;`, `//` or `..`, is never open",
            examples=["/robots.txt /assets/*"],
        ),
        Setting(
            Group.GATE,
            "Open paths",
            control=Control.WORDS,
            hint="Visitors need no session for these, such as /robots.txt /assets/*. A * at the end stands "
            "for any ending",
        ),
    ] = ""
    open_addresses: Annotated[
        str,
        Meta(
            max_length=4000,
            description="Addresses or networks whose visitors do not have to wait, separated by spaces",
            examples=["10.0.0.0/8 192.0.2.7"],
        ),
        Setting(
            Group.GATE,
            "Open addresses",
            control=Control.WORDS,
            hint="Visitors from these addresses or networks never wait, such as 10.0.0.0/8 192.0.2.7",
        ),
    ] = ""
    open_agents: Annotated[
        str,
        Meta(
            max_length=1000,
            description="The beginnings of the user agents of health checkers, separated by spaces; they "
            "pass with GET and HEAD. Any client can claim a user agent: prefer `open_addresses` or "
            "`open_paths` if they are enough",
            examples=["kube-probe/ ELB-HealthChecker/"],
        ),
        Setting(
            Group.GATE,
            "Open user agents",
            control=Control.WORDS,
            # Each of the three opens by itself: addresses beside a user agent do not narrow it down.
            hint="The beginnings of the user agents of health checkers, such as kube-probe/. Any client can "
            "claim a user agent, from any address. If you know the addresses of the checkers, open those "
            "instead and leave this empty",
        ),
    ] = ""
    outage_policy: Annotated[
        OutagePolicy,
        Setting(
            Group.GATE,
            "Who gets in while the store is unreachable",
            choices={
                "closed": "no new visitor",
                "open": "every visitor",
                "budget": "a limited number a second",
            },
        ),
    ] = OutagePolicy.CLOSED
    outage_grace_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=86_400,
            description="Seconds for which the gate stays shut when the store becomes unreachable",
        ),
        Setting(Group.GATE, "Time in an outage before the gate opens", unit="seconds"),
    ] = 30
    outage_rate: Annotated[
        float,
        Meta(
            ge=0,
            le=1_000_000,
            description="People let in per second and server while the store is unreachable",
        ),
        Setting(Group.GATE, "Rate in an outage", unit="per second and server", hint="0: no new visitor"),
    ] = 1.0
    entry: Annotated[
        EntryRule,
        Setting(
            Group.ENTRY,
            "Who may join",
            choices={"open": "every visitor", "pass": "visitors with a pass"},
            is_public=True,
        ),
    ] = EntryRule.OPEN
    open_priority: Annotated[
        int,
        Meta(
            ge=0,
            le=HIGHEST_PRIORITY,
            description="The highest priority that counts without a proof. A higher one needs a pass, or a "
            "call by the site itself; without that, it is lowered to this",
        ),
        Setting(
            Group.ENTRY,
            "Highest priority without a pass",
            hint=f"0 to {HIGHEST_PRIORITY}",
            is_later=True,
        ),
    ] = 0
    priority_share: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            description="Part of the admissions that a priority gets at most while lower ones wait. The same "
            "holds among the lower ones. With 0.8, two of ten admissions are of lower priorities; 1 is "
            "strict order",
        ),
        Setting(Group.ENTRY, "Share for higher priorities", hint="Above 0, up to 1", is_later=True),
    ] = 0.8
    max_places_per_address: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000_000,
            description="Places in line that one address (of IPv6: one /64) may hold at once; 0 means any "
            "number. Places taken with a pass, or by the site itself, are not counted",
        ),
        Setting(
            Group.ENTRY,
            "Maximum places for one address",
            unit="at once",
            hint="0: no limit. A school or a mobile network can be one address",
        ),
        # Carriers put some 100 subscribers behind one IPv4 address (each gets a block of 500 to 1,000 of its
        # ports), and large schools and offices have 500 people at their screens in the same minute. 500 is
        # 1 % of a line of the default length, so that a hundred addresses are needed to fill it, and not one.
    ] = 500
    session_binding: Annotated[
        SessionBinding,
        Setting(
            Group.GATE,
            "What a session is bound to",
            choices={"none": "nothing", "network": "networks", "browser": "browsers"},
        ),
    ] = SessionBinding.NONE


class QueueConfig(QueueSettings, frozen=True, kw_only=True):
    """The settings of one queue, as the store keeps them."""

    created_ms: int = 0
    updated_ms: int = 0
    version: int = 0
    """Grows by one with every change; a writer names the version it read."""


SETTINGS = settings_in(QueueSettings)
"""Every setting of a queue; the id, which no operator can change, is none."""
