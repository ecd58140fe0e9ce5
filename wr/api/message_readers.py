"""Readers of what a request brings: its body or its query as a message of a known type, or nothing.

Each route of the table names its reader, so that the type of the message is checked against the type that
the operation of the route asks for.
"""

from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import parse_qsl

import msgspec

from wr.api.http_messages import HttpRequest
from wr.api.json_numbers import decode_whole_numbers
from wr.model import refusals

MOST_QUERY_FIELDS = 20
ReadT = TypeVar("ReadT", covariant=True)
StructT = TypeVar("StructT", bound=msgspec.Struct)


class MessageReader(Protocol[ReadT]):
    """Reads the message of a request."""

    def read(self, http: HttpRequest, /) -> ReadT:
        """Read the message.

        Raises:
            InvalidRequest: it is not valid.
        """
        ...


class NoMessage:
    """Reads nothing: the path and the headers say all that the operation needs."""

    def read(self, _http: HttpRequest) -> None:
        """Read nothing."""


NOTHING = NoMessage()


class Query(Generic[StructT]):
    """Reads the query of a request as a message of type `kind`."""

    def __init__(self, kind: type[StructT]) -> None:
        self.kind = kind

    def read(self, http: HttpRequest) -> StructT:
        """Read the query.

        Raises:
            InvalidRequest: it is not valid.
        """
        try:
            fields = dict(parse_qsl(http.query, keep_blank_values=True, max_num_fields=MOST_QUERY_FIELDS))
            return msgspec.convert(fields, self.kind, strict=False)
        except msgspec.ValidationError as error:
            raise _not_valid(error) from error
        except ValueError as error:
            raise refusals.InvalidRequest("The query is not valid") from error


class Body(Generic[StructT]):
    """Reads the body of a request, which is JSON, as a message of type `kind`.

    A request without a body counts as one with an empty object. `is_required` says that such a request is
    refused although no field of the message is required.
    """

    def __init__(self, kind: type[StructT], *, is_required: bool = False) -> None:
        self.kind = kind
        # Where none of its fields is required, neither is the body.
        self.is_required = is_required or any(field.required for field in msgspec.structs.fields(kind))
        self._decoder = msgspec.json.Decoder(kind)

    def read(self, http: HttpRequest) -> StructT:
        """Read the body, which is at most `MAX_BODY_BYTES` long.

        Raises:
            InvalidRequest: it is not valid.
        """
        try:
            # As text: the decoder would overlook bytes that are no UTF-8 in fields it does not know.
            text = http.body.decode() if http.body else "{}"
            return decode_whole_numbers(self._decoder, text, self.kind)
        except msgspec.ValidationError as error:
            raise _not_valid(error) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise refusals.InvalidRequest("The body is not valid JSON") from error
        except RecursionError as error:
            raise refusals.InvalidRequest("The body is nested too deeply") from error


def _not_valid(error: msgspec.ValidationError) -> refusals.InvalidRequest:
    message, _, field = str(error).partition(" - at `$")
    if not field:
        return refusals.InvalidRequest(message)
    return refusals.InvalidRequest(message, field=field.rstrip("`").lstrip("."))


def given_fields(message: msgspec.Struct) -> dict[str, Any]:
    """List what a client has set, by name; `Any` because each field has a type of its own."""
    return {
        name: value for name, value in msgspec.structs.asdict(message).items() if value is not msgspec.UNSET
    }
