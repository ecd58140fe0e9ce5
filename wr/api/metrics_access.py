"""Decides who may read the metrics. They name no visitor, but show how a sale goes."""

import hmac

import msgspec

from wr.model import refusals
from wr.model.client_address import Network, is_within


class MetricsAccess(msgspec.Struct, frozen=True):
    """If a token is set, requests need it. Otherwise they must come from one of the networks.

    Prometheus usually runs in the server's private network, and visitors do not. So with the default settings
    Prometheus can read the metrics, and visitors cannot, although they use the same port.
    """

    token: str
    networks: tuple[Network, ...]

    def check(self, given: str | None, address: str, *, is_forwarded: bool) -> None:
        """Check a request. `given` is the bearer token and `address` the client's.

        `is_forwarded` means that an untrusted proxy passed the request on, so `address` is not the client's.

        Raises:
            Unauthorized: the token is missing or wrong.
            Forbidden: no token is set, and the address is in none of the networks.
        """
        if self.token:
            if given is None or not hmac.compare_digest(given.encode(), self.token.encode()):
                raise refusals.Unauthorized("Send the metrics token as Authorization: Bearer <token>")
        elif is_forwarded or not is_within(address, self.networks):
            raise refusals.Forbidden("Metrics need an address within metrics_from, or a metrics_token")
