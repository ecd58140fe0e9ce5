"""Requests to the waiting room: whatever comes back, or does not, the site goes on."""

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
    """The waiting room did not answer, or not as it should. What it says may go into a log."""

    def __init__(self, why: object, status: int = 0) -> None:
        # What is at that address may be anything: it must neither fill the log nor begin a line of its own.
        super().__init__(repr(str(why)[:_LONGEST_REASON]))
        self.status = status
        """Of the refusal; 0 where there was none."""


class _NowhereElse(HTTPRedirectHandler):
    """Follows no redirect: another address must not get the key, and would not get what was to be told."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER = build_opener()
_TELLER = build_opener(_NowhereElse)


def ask(
    url: str,
    wish: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    clock_s: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """GET a JSON object, or POST a wish and take the object that answers it.

    Raises:
        NoAnswer: there is none, it took too long, or it is something else.
    """
    until_s = clock_s() + PATIENCE_S
    opener = _OPENER if wish is None else _TELLER
    try:
        request = Request(url, headers=dict(headers or {}))  # noqa: S310 - the address is the site's own
        if wish is not None:
            request.data = json.dumps(wish).encode()
            request.add_header("Content-Type", "application/json")
        with opener.open(request, timeout=PATIENCE_S) as response:
            found = json.loads(_read(response, until_s, clock_s))
    except HTTPError as error:
        error.close()
        raise NoAnswer(error, error.code) from error
    except (OSError, HTTPException) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}") from error
    except (ValueError, RecursionError) as error:
        # Its words may be those of a header that could not be sent, a secret among them.
        raise NoAnswer(f"{type(error).__name__}: the question or the answer makes no sense") from None
    if isinstance(found, dict):
        return found
    raise NoAnswer("the answer is no JSON object")


def _read(response: HTTPResponse, until_s: float, clock_s: Callable[[], float]) -> bytes:
    body = b""
    while piece := response.read1(_LONGEST_BYTES):
        body += piece
        if len(body) > _LONGEST_BYTES:
            raise OSError("the answer is too long")
        if clock_s() > until_s:
            raise TimeoutError("the answer does not end")
    return body
