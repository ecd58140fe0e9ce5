"""Field types of request and response bodies that several subjects of the API share."""

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
        description="True while no visitor is admitted because the store lost places and they are being "
        "restored in their old order. Otherwise left out"
    ),
]
HeldStatus = Annotated[
    Literal["paused", "maintenance"],
    Meta(description="Why no visitor is admitted just now. Left out while visitors are admitted"),
]
Seconds = Annotated[int, Meta(ge=0, description="Seconds")]
Reason = Annotated[str, Meta(max_length=200, examples=["abuse_detected"])]
