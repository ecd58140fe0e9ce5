"""Requests from a site to the waiting room, on the standard library alone: the middleware is installed into
applications of other people, and must not decide which HTTP client they have.

Whatever the waiting room answers, and if it does not answer, the caller gets one kind of exception.
"""

import json
import time
from collections.abc import Callable, Mapping
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

PATIENCE_S = 5.0
_LONGEST_BYTES = 256 * 1024
_LONGEST_REASON = 200


class NoAnswer(OSError):
    """The waiting room did not answer, or gave a wrong answer. The message may be written to a log."""

    def __init__(self, why: object, status: int = 0) -> None:
        # Any program may be at that address: its text must neither fill the log nor begin a new line in it.
        super().__init__(repr(str(why)[:_LONGEST_REASON]))
        self.status = status
        """The status of a refusal; 0 if no status came."""


class _NoRedirects(HTTPRedirectHandler):
    """Follows no redirect: another address must not get the key, and would not get the body."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER_OF_GETS = build_opener()
_OPENER_OF_POSTS = build_opener(_NoRedirects)


def ask(
    url: str,
    body: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    clock_s: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """GET a JSON object; with a `body`, POST it as JSON and return the object of the answer.

    Raises:
        NoAnswer: no answer came in time, or it is a refusal, or not a JSON object.
    """
    until_s = clock_s() + PATIENCE_S
    opener = _OPENER_OF_GETS if body is None else _OPENER_OF_POSTS
    try:
        request = Request(url, headers=dict(headers or {}))  # noqa: S310 - the address is the site's own
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        with opener.open(request, timeout=PATIENCE_S) as response:
            found = json.loads(_read(response, until_s, clock_s))
    except HTTPError as error:
        error.close()
        raise NoAnswer(error, error.code) from error
    except (OSError, HTTPException) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}") from error
    except (ValueError, RecursionError) as error:
        # The message of the error may contain a header that could not be sent, such as the origin key.
        why = "the request cannot be sent, or the answer is not JSON"
        raise NoAnswer(f"{type(error).__name__}: {why}") from None
    if isinstance(found, dict):
        return found
    raise NoAnswer("the answer is no JSON object")


def _read(response: HTTPResponse, until_s: float, clock_s: Callable[[], float]) -> bytes:
    content = b""
    while piece := response.read1(_LONGEST_BYTES):
        content += piece
        if len(content) > _LONGEST_BYTES:
            raise OSError("the answer is too long")
        if clock_s() > until_s:
            raise TimeoutError("the answer does not end")
    return content
