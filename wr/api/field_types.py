"""Types of message fields that several subjects of the API share."""

from typing import Annotated, Literal

from msgspec import Meta

Uuid = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"}, examples=["2024-01-01T12:30:00Z"])]
Timestamp = Annotated[int, Meta(ge=0, le=2**53, description="The client's clock, milliseconds since 1970")]
Long = Annotated[int, Meta(ge=1, le=2**63 - 1, description="A positive 64-bit integer")]
Count = Annotated[int, Meta(ge=0)]
Recovering = Annotated[
    bool,
    Meta(
        description="Sent, as true, while no visitor is let in because the store has lost places, which are "
        "put back in their old order"
    ),
]
HeldStatus = Annotated[
    Literal["paused", "maintenance"],
    Meta(description="Why nobody is being let in just now; left out while people are"),
]
Seconds = Annotated[int, Meta(ge=0, description="Seconds")]
