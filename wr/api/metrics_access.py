"""Who may read the metrics: they name no person, but say how a sale goes."""

import hmac

import msgspec

from wr.model import refusals
from wr.model.client_address import Network, is_within


class MetricsAccess(msgspec.Struct, frozen=True):
    """With a token, whoever brings it; without one, whoever asks from one of the networks.

    Prometheus usually stands in the same network as the server, and visitors do not: so it is answered
    without any setting, and they are not, although they reach the same port.
    """

    token: str
    networks: tuple[Network, ...]

    def check(self, given: str | None, address: str, *, is_forwarded: bool) -> None:
        """Let a scraper pass; `given` is the bearer token, `address` the client's, and `is_forwarded` tells
        that a proxy nobody trusts passed the request on, so that its address is not the client's.

        Raises:
            Unauthorized: the token is missing or wrong.
            Forbidden: no token is set, and the address is in none of the networks.
        """
        if self.token:
            if given is None or not hmac.compare_digest(given.encode(), self.token.encode()):
                raise refusals.Unauthorized("Send the metrics token as Authorization: Bearer <token>")
        elif is_forwarded or not is_within(address, self.networks):
            raise refusals.Forbidden("Metrics are for the networks of metrics_from, or for a metrics_token")
