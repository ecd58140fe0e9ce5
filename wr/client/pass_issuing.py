"""Issues any number of passes, in as many calls of the API as needed."""

from collections.abc import Callable

import msgspec

from wr.api.passes.messages import IssuedPassesResponse
from wr.client.admin_client import AdminClient, AdminFailure

Take = Callable[[IssuedPassesResponse], object]

MOST_IN_A_CALL = 1_000
_MOST_WAITS = 10
"""How often in a row the server's limit is waited for."""


class PassOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Which passes to issue."""

    queue_id: str
    subject: str
    """The name of the visitor; of several each gets a number behind it. Empty makes up a name for each."""
    expires_in_s: int
    count: int
    rest: dict[str, object]
    """What else the API is told of each."""


def issue_all(
    api: AdminClient,
    wish: PassOrder,
    take: Take,
    *,
    tell: Callable[[str], None],
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> None:
    """Issue passes, at most 1,000 in a call, and hand each answer to `take`. Waits where the server asks for
    that, and tells so. All passes expire at the same time, to the second.

    Raises:
        AdminFailure: a call failed for good; its message says how many passes were issued before.
    """
    began_s = clock()
    issued = waits = 0
    while issued < wish.count:
        asked = min(MOST_IN_A_CALL, wish.count - issued)
        body = {
            **wish.rest,
            "subject": wish.subject,
            "expires_in": max(1, wish.expires_in_s - round(clock() - began_s)),
            "count": asked,
        }
        if issued:
            body["first_number"] = issued + 1
        try:
            answer = api.issue_passes(wish.queue_id, body)
        except AdminFailure as failure:
            waits += 1
            if not failure.retry_after_s or waits > _MOST_WAITS:
                if not issued:
                    raise
                raise AdminFailure(f"{failure} ({issued:,} of {wish.count:,} were issued)") from failure
            tell(f"wr: {failure}; waiting")
            sleep(failure.retry_after_s)
            continue
        take(answer)
        issued, waits = issued + asked, 0
        if wish.count > MOST_IN_A_CALL:
            tell(f"{issued:,} of {wish.count:,} passes issued")
