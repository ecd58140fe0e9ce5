"""Reads the fields of API messages and their descriptions, so that commands can offer and explain them."""

import msgspec
from msgspec.inspect import EnumType, Field, Metadata, StructType, type_info


def message_fields(kind: type[msgspec.Struct]) -> tuple[Field, ...]:
    """List the fields of a message type.

    Raises:
        TypeError: the type is not a struct.
    """
    info = type_info(kind)
    if not isinstance(info, StructType):
        raise TypeError(f"{kind} is not a message type")
    return info.fields


def meaning(field: Field) -> str:
    """Return what a field means: its description, or that of its enumeration; may be empty."""
    if isinstance(field.type, Metadata) and field.type.extra_json_schema:
        return str(field.type.extra_json_schema.get("description", ""))
    if isinstance(field.type, EnumType):
        return " ".join((field.type.cls.__doc__ or "").partition(".")[0].split())
    return ""


def meanings(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Return what each field of a message type means, by the field's name in JSON."""
    return {field.encode_name: meaning(field) for field in message_fields(kind)}
