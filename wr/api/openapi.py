"""Builds the OpenAPI 3.0.3 document from the route table and the messages."""

import re
from typing import Any, get_args

import msgspec

from wr import __version__
from wr.api.error_messages import ErrorResponse
from wr.api.errors import INTERNAL_ERROR, WIRE_FORMS
from wr.api.http_messages import JSON, WEBSOCKET
from wr.api.message_readers import Body
from wr.api.route import ANY, BASE, AnyRoute, Auth, Empty, RawBody
from wr.api.routes import ROUTES
from wr.model.idempotency_key import HEADER, LONGEST, SHORTEST

JsonObject = dict[str, Any]
"""A part of the document. `Any` stands for JSON of every kind: the specification of OpenAPI says what is
where, and tests hold the document against it."""
_COMPONENTS = "#/components/schemas/{name}"
_RATE_HEADERS = {
    "X-RateLimit-Limit": "Requests allowed in one window; 1000000 if there is no limit",
    "X-RateLimit-Remaining": "Requests left in this window; 1000000 if there is no limit",
    "X-RateLimit-Reset": "Unix seconds at which the next window begins; 0 if there is no limit",
}
_MORE_HEADERS: dict[int, JsonObject] = {
    401: {"WWW-Authenticate": {"description": "`Bearer`", "schema": {"type": "string"}}},
    405: {"Allow": {"description": "The methods of the path", "schema": {"type": "string"}}},
    426: {"Upgrade": {"description": "`websocket`", "schema": {"type": "string"}}},
    429: {"Retry-After": {"description": "Seconds after which to try again", "schema": {"type": "integer"}}},
    503: {"Retry-After": {"description": "Seconds after which to try again", "schema": {"type": "integer"}}},
}
"""Additional headers of the refusals of each status."""
_SECURITY: dict[Auth, list[dict[str, list[str]]]] = {
    Auth.NOBODY: [],
    Auth.MAY_HAVE_POSITION: [{}, {"BearerAuth": []}, {"OriginKey": []}, {"AdminKey": []}],
    Auth.POSITION: [{"BearerAuth": []}],
    Auth.SESSION: [{"BearerAuth": []}],
    Auth.ORIGIN: [{"OriginKey": []}, {"AdminKey": []}],
    Auth.ADMIN: [{"AdminKey": []}],
    Auth.USER: [{}, {"BearerAuth": []}, {"OriginKey": []}, {"AdminKey": []}],
    Auth.METRICS: [{}, {"BearerAuth": []}],
}
_PARAMETER_HELP = {
    "queue_id": ("Queue identifier", {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}),
    "session_id": ("Session identifier", {"type": "string"}),
    "webhook_id": ("Webhook identifier", {"type": "string"}),
    "dead_letter_id": ("Identifier of a dead letter", {"type": "string"}),
    "position_id": ("Position identifier", {"type": "string"}),
    "block_id": ("Block identifier", {"type": "string"}),
}

_OPERATOR: JsonObject = {
    "name": "X-Operator",
    "in": "header",
    "required": False,
    "description": "The operator's name for the audit trail: at most 100 printable characters; those outside "
    "ASCII are percent-encoded. The server cannot verify it, because all operators share one key",
    "schema": {"type": "string"},
}
_PASS: JsonObject = {
    "name": "X-WR-Pass",
    "in": "header",
    "required": False,
    "description": "A pass of the site: a JWT with `sub` (the visitor; each has one place), `queue`, `exp`, "
    "`jti`, and optionally `priority`, `uses`, `nbf`. May be sent as `pass` in the body instead",
    "schema": {"type": "string"},
}
_TOKEN: JsonObject = {
    "name": "X-WR-Token",
    "in": "header",
    "required": False,
    "description": "`cookie`: the server sets the token as a cookie and leaves it out of the response. "
    "`client`: the client keeps the token. With either, only the token gives the place back",
    "schema": {"type": "string"},
}
_RETRY: JsonObject = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "A secret that the client creates, such as a UUID, the same for every try of one join. "
    "For ten minutes a new try gets the place of an earlier try whose response was lost. A join with other "
    "contents is refused. May be quoted",
    "schema": {"type": "string", "pattern": f"^[\\x21-\\x7e]{{{SHORTEST},{LONGEST}}}$"},
}


def openapi_document() -> JsonObject:
    """Describe every route. Paths under `/api/v1` are relative to the servers, as in the contract."""
    answers: set[type[msgspec.Struct]] = {ErrorResponse}
    described = [route for route in ROUTES if not route.is_page]
    for route in described:
        for _, _, answer in route.answers:
            answers.update(answer if isinstance(answer, tuple) else (answer,))
    answers -= {RawBody, Empty}
    kinds = answers | {route.body for route in described if route.body is not None}
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    _, components = msgspec.json.schema_components(ordered, ref_template=_COMPONENTS)
    for kind in answers:
        components[kind.__name__]["required"] = _always_sent(kind)
    paths: JsonObject = {}
    for route in described:
        relative = route.path.removeprefix(BASE)
        # `/health` exists at both paths. The document describes the one under the base, as the contract does.
        if route.path != relative or relative != "/health":
            item = paths.setdefault(relative, {})
            # A WebSocket begins with a GET request, and OpenAPI cannot describe more. A route for all methods
            # is described once.
            item["get" if route.method in (ANY, WEBSOCKET) else route.method.lower()] = _operation(route)
            if route.path == relative:
                item["servers"] = [{"url": "/"}]
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Waiting Room API",
            "version": __version__,
            "description": "API for managing virtual waiting rooms",
        },
        "servers": [
            {"url": BASE, "description": "This server"},
            {"url": f"https://waitingroom.example.com{BASE}", "description": "Production"},
            {"url": f"http://localhost:8080{BASE}", "description": "Development"},
        ],
        "paths": paths,
        "components": {
            "schemas": {name: _as_3_0(schema) for name, schema in sorted(components.items())},
            "securitySchemes": {
                "BearerAuth": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "AdminKey": {"type": "apiKey", "in": "header", "name": "X-Admin-Key"},
                "OriginKey": {"type": "apiKey", "in": "header", "name": "X-WR-Origin-Key"},
            },
        },
        "security": [{"BearerAuth": []}],
    }


def _always_sent(kind: type[msgspec.Struct]) -> list[str]:
    """Return the fields that are in every message of a kind: all except those that may be unset."""
    return [
        field.encode_name
        for field in msgspec.structs.fields(kind)
        if msgspec.UnsetType not in get_args(field.type)
    ]


def _operation(route: AnyRoute) -> JsonObject:
    described: JsonObject = {
        "operationId": f"{route.name}_{WEBSOCKET.lower()}" if route.method == WEBSOCKET else route.name,
        "summary": route.summary,
        "description": route.description,
        "tags": [route.tag],
        "security": _SECURITY[route.auth],
        "responses": _responses(route),
    }
    parameters = [*_path_parameters(route), *_query_parameters(route)]
    if route.auth is Auth.ADMIN:
        parameters.append(_OPERATOR)
    if route.auth is Auth.MAY_HAVE_POSITION:
        parameters += [_PASS, _TOKEN, _RETRY]
    if parameters:
        described["parameters"] = parameters
    if isinstance(route.reads, Body):
        content = _json(_reference(route.reads.kind))
        described["requestBody"] = {"required": route.reads.is_required, "content": content}
    return described


def _path_parameters(route: AnyRoute) -> list[JsonObject]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PARAMETER_HELP[name][0],
            "schema": _PARAMETER_HELP[name][1],
        }
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]


def _query_parameters(route: AnyRoute) -> list[JsonObject]:
    if route.query is None:
        return []
    schema = msgspec.json.schema(route.query)["$defs"][route.query.__name__]
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", []), "schema": _as_3_0(part)}
        for name, part in schema["properties"].items()
    ]


def _responses(route: AnyRoute) -> JsonObject:
    headers = {
        "X-Request-Id": {"description": "Id of this request in the logs", "schema": {"type": "string"}},
        **_limit_headers(),
    }
    responses: JsonObject = {}
    for status, meaning, answer in route.answers:
        if answer is Empty:
            responses[str(status)] = {"description": meaning, "headers": headers}
            continue
        if answer is RawBody:
            schema: JsonObject = {"type": "object" if route.media_type == JSON else "string"}
        elif isinstance(answer, tuple):
            schema = {"oneOf": [_reference(kind) for kind in answer]}
        else:
            schema = _reference(answer)
        is_events = route.feed is not None and route.method != WEBSOCKET
        content = {"text/event-stream" if is_events else route.media_type: {"schema": schema}}
        responses[str(status)] = {"description": meaning, "headers": headers, "content": content}
    for status, meaning in _errors(route).items():
        all_headers = headers | _MORE_HEADERS.get(status, {})
        responses.setdefault(
            str(status),
            {"description": meaning, "headers": all_headers, "content": _refusal_content(route, status)},
        )
    return responses


def _refusal_content(route: AnyRoute, status: int) -> JsonObject:
    """Describe the body of a refusal: the JSON error, or an HTML page for a visitor's browser."""
    page = {"text/html": {"schema": {"type": "string"}}}
    envelope = _json(_reference(ErrorResponse))
    if route.refusal_page is None or status not in (404, 503):
        return envelope
    # A server with too many connections refuses before it knows the route, so JSON is possible too.
    return page if status == 404 else page | envelope


def _limit_headers() -> JsonObject:
    return {
        name: {"description": text, "schema": {"type": "integer"}} for name, text in _RATE_HEADERS.items()
    }


def _errors(route: AnyRoute) -> dict[int, str]:
    meanings: dict[int, list[str]] = {}
    for form in [*(WIRE_FORMS[refusal] for refusal in route.all_refusals()), INTERNAL_ERROR]:
        meanings.setdefault(form.status, []).append(f"`{form.code}`: {form.description}")
    return {status: "; ".join(dict.fromkeys(texts)) for status, texts in sorted(meanings.items())}


def _json(schema: JsonObject) -> JsonObject:
    return {"application/json": {"schema": schema}}


def _reference(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": _COMPONENTS.format(name=kind.__name__)}


def _as_3_0(schema: Any) -> Any:
    """Convert JSON Schema 2020-12 into the dialect of OpenAPI 3.0.

    OpenAPI 3.0 has one example, boolean exclusive bounds, and enums instead of constants.
    """
    if isinstance(schema, list):
        return [_as_3_0(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    rewritten = {key: _as_3_0(value) for key, value in schema.items()}
    if "examples" in rewritten and isinstance(rewritten["examples"], list):
        rewritten["example"] = rewritten.pop("examples")[0]
    for bound in ("Minimum", "Maximum"):
        exclusive = rewritten.get(f"exclusive{bound}")
        if isinstance(exclusive, int | float) and not isinstance(exclusive, bool):
            rewritten[bound.lower()] = exclusive
            rewritten[f"exclusive{bound}"] = True
    if "const" in rewritten:
        rewritten["enum"] = [rewritten.pop("const")]
    if "enum" in rewritten and "type" not in rewritten:
        rewritten["type"] = "string"
    options = rewritten.get("anyOf", [])
    if {"type": "null"} in options:
        # OpenAPI 3.0 has no type null. A nullable value has a flag beside its type.
        options.remove({"type": "null"})
        rewritten["nullable"] = True
        if len(options) == 1:
            rewritten |= rewritten.pop("anyOf")[0]
    if rewritten.get("required") == []:
        # In OpenAPI 3.0 this list must not be empty.
        del rewritten["required"]
    if "$ref" in rewritten and len(rewritten) > 1:
        # In OpenAPI 3.0 a reference must not have other keys beside it.
        return {"allOf": [{"$ref": rewritten.pop("$ref")}], **rewritten}
    return rewritten
