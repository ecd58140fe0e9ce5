"""Settings of events for other systems: NATS, webhooks, and how many events the server keeps for them."""

from dataclasses import dataclass

from wr.model.client_address import Network, parse_networks
from wr.server.setting_fields import Group, setting
from wr.server.setting_values import nats_url, positive_count, seconds


@dataclass(frozen=True, kw_only=True)
class EventSettings:
    """Settings under the heading Events."""

    nats_url: str = setting(
        "",
        "NATS server with JetStream to which the server publishes events: nats://host:4222, "
        "tls://user:password@host:4222, or several servers of a cluster, separated by commas. If the URL "
        "has a password, set the variable, not the option. If it is not set, the server publishes nothing",
        nats_url,
        group=Group.EVENTS,
        form="URL",
        also="NATS_URL",
    )
    event_source: str = setting(
        "",
        "Name of this server in its events. If it is not set, the name of the machine",
        group=Group.EVENTS,
        form="NAME",
    )
    event_buffer: int = setting(
        100_000,
        "Events that the server keeps for NATS, and for each webhook, while it cannot send them. It drops "
        "and counts further events. An event takes 100 to 450 bytes plus its metadata, and up to 1 KB more "
        "while a webhook delivery waits for its next try",
        positive_count,
        group=Group.EVENTS,
        form="COUNT",
    )
    webhook_timeout: float = setting(
        10.0,
        "Seconds within which a webhook must answer. Otherwise the delivery counts as failed",
        seconds,
        group=Group.EVENTS,
        form="SECONDS",
    )
    webhook_tries: int = setting(
        8,
        "Number of tries, after which a delivery becomes a dead letter (see `wr webhook dead`)",
        positive_count,
        group=Group.EVENTS,
        form="COUNT",
    )
    webhook_pause: float = setting(
        2.0,
        "Seconds between the first failure of a delivery and the next try. The pause doubles after each "
        "further failure",
        seconds,
        group=Group.EVENTS,
        form="SECONDS",
    )
    webhook_forbidden: tuple[Network, ...] = setting(
        parse_networks(
            "169.254.0.0/16, fe80::/10, fd00:ec2::254/128, fd20:ce::254/128, 100.100.100.200/32, "
            "168.63.129.16/32"
        ),
        "Addresses or networks that webhooks must not call, separated by commas. The default lists the "
        "addresses at which cloud providers hand credentials to their machines",
        parse_networks,
        group=Group.EVENTS,
        form="NETWORKS",
    )
