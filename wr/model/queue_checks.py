"""Which settings of a queue make sense together: an operator's mistake is refused before it is stored."""

from urllib.parse import urlsplit

from wr.model.branding import check_addresses
from wr.model.gate_rules import check_gate
from wr.model.ids import is_queue_id
from wr.model.queue_settings import QueueConfig
from wr.model.refusals import InvalidRequest


def check_queue(config: QueueConfig) -> None:
    """Refuse settings that make no sense together.

    Raises:
        InvalidRequest: the id ends in a line break, the target is not an http(s) URL with a host, an address
            is none, or the heartbeat timeout is not above its interval; `details` names the field.
    """
    # To the pattern of the message a line break at the end is not there.
    if not is_queue_id(config.id):
        raise InvalidRequest("id must be 1 to 64 letters, digits, dots, underscores or hyphens", field="id")
    try:
        target = urlsplit(config.target_url)
        sound = target.scheme in ("http", "https") and bool(target.hostname) and target.port != 0
        # What no name server could be asked for, nobody could be sent to.
        (target.hostname or "").encode("idna")
    except ValueError:
        sound = False
    if not sound or any(character <= " " or character == "\x7f" for character in config.target_url):
        raise InvalidRequest("target_url must be an http or https URL", field="target_url")
    check_addresses(config.logo_url, config.support_url)
    check_gate(config.open_paths, config.open_addresses)
    if config.heartbeat_timeout_seconds <= config.heartbeat_interval_seconds:
        raise InvalidRequest(
            "heartbeat_timeout_seconds must be above heartbeat_interval_seconds",
            field="heartbeat_timeout_seconds",
        )
