"""Holds real answers against the OpenAPI document that the server publishes."""

import copy
import re
from typing import Any

import httpx
from openapi_schema_validator import OAS30Validator, oas30_format_checker

from tests.support.site import BASE


class Documented:
    """A response hook for the HTTP client: fails when an answer is not what the document says.

    Stricter than the document: an answer may not bring a field that its schema does not name.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self._components = copy.deepcopy(document["components"])
        for schema in self._components["schemas"].values():
            if "properties" in schema:
                schema["additionalProperties"] = False
        self._paths = []
        for path, item in document["paths"].items():
            base = "" if "servers" in item else BASE
            shape = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(base + path))
            self._paths.append((re.compile(shape), item))
        self._validators: dict[tuple[str, int], OAS30Validator] = {}

    def __call__(self, response: httpx.Response) -> None:
        operation = self._operation(response.request)
        if operation is None:
            return
        if response.headers.get("content-type") == "text/event-stream":
            # It ends when the place does; what its events say has tests of its own.
            assert "text/event-stream" in operation["responses"][str(response.status_code)]["content"]
            return
        described = operation["responses"].get(str(response.status_code), {})
        if "content" not in described and described:
            response.read()
            assert response.content == b""
            return
        if response.headers.get("content-type", "").startswith("text/html"):
            assert "text/html" in described["content"]
            return
        if response.headers.get("content-type", "").startswith("text/plain"):
            assert "text/plain" in operation["responses"][str(response.status_code)]["content"]
            return
        response.read()
        name, status = operation["operationId"], response.status_code
        described = operation["responses"].get(str(status))
        assert described is not None, f"{name} answered {status}, which is not documented: {response.text}"
        missing = [header for header in described["headers"] if header not in response.headers]
        assert not missing, f"{name} answered {status} without {missing}"
        self._validator(name, status, described).validate(response.json())

    def _operation(self, request: httpx.Request) -> dict[str, Any] | None:
        path = request.url.raw_path.decode().partition("?")[0]
        for shape, item in self._paths:
            if shape.fullmatch(path):
                found: dict[str, Any] | None = item.get(request.method.lower())
                return found
        return None

    def _validator(self, name: str, status: int, described: dict[str, Any]) -> OAS30Validator:
        validator = self._validators.get((name, status))
        if validator is None:
            schema = described["content"]["application/json"]["schema"]
            validator = OAS30Validator(
                {"allOf": [schema], "components": self._components}, format_checker=oas30_format_checker
            )
            self._validators[name, status] = validator
        return validator
