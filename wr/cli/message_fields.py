"""What the API's messages say of their own fields, for the commands that take and show them."""

import msgspec
from msgspec.inspect import EnumType, Field, Metadata, StructType, type_info


def message_fields(kind: type[msgspec.Struct]) -> tuple[Field, ...]:
    """List the fields of a message.

    Raises:
        TypeError: it is not one.
    """
    info = type_info(kind)
    if not isinstance(info, StructType):
        raise TypeError(f"{kind} is no message")
    return info.fields


def meaning(field: Field) -> str:
    """Say what a field is: its description, or the first sentence about its enumeration; may be empty."""
    if isinstance(field.type, Metadata) and field.type.extra_json_schema:
        return str(field.type.extra_json_schema.get("description", ""))
    if isinstance(field.type, EnumType):
        return " ".join((field.type.cls.__doc__ or "").partition(".")[0].split())
    return ""


def meanings(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Say of each field of a message what it is."""
    return {field.encode_name: meaning(field) for field in message_fields(kind)}
