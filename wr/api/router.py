"""The router: finds the route of a request by the shape of its path."""

import re

from wr.api.http_messages import WEBSOCKET
from wr.api.route import ANY, AnyRoute
from wr.api.routes import ROUTES
from wr.model import refusals
from wr.model.bounded_cache import BoundedCache
from wr.model.refusals import Refusal

_MOST_REMEMBERED = 1024
"""Paths whose route is remembered: those of a few hundred queues."""
_PARAMETER = re.compile(r"\{(\w+\*?)\}")


class Router:
    """Finds the route of a request by the shape of its path."""

    def __init__(self, routes: tuple[AnyRoute, ...] = ROUTES) -> None:
        self._found: BoundedCache[tuple[str, str], tuple[AnyRoute, dict[str, str]]] = BoundedCache(
            _MOST_REMEMBERED
        )
        self._exact: dict[str, dict[str, AnyRoute]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, AnyRoute]]] = []
        patterns: dict[str, dict[str, AnyRoute]] = {}
        for route in routes:
            table = patterns if "{" in route.path else self._exact
            table.setdefault(route.path, {})[route.method] = route
        for path, methods in patterns.items():
            shape = "".join(
                _parameter(part) if index % 2 else re.escape(part)
                for index, part in enumerate(_PARAMETER.split(path))
            )
            self._patterns.append((re.compile(shape), methods))

    def find(self, method: str, path: str) -> tuple[AnyRoute, dict[str, str]]:
        """Find the route and its path parameters; HEAD is served by GET, and an upgrade that none offers
        is overlooked.

        Raises:
            NotFound: no route has that path.
            MethodNotAllowed: the path has routes, but none of that method.
            UpgradeRequired: the path is there for WebSockets only.
        """
        found = self._found.get((method, path))
        if found is None:
            found = self._look_up(method, path)
            self._found.put((method, path), found)
        return found

    def _look_up(self, method: str, path: str) -> tuple[AnyRoute, dict[str, str]]:
        methods = self._exact.get(path)
        parameters: dict[str, str] = {}
        if methods is None:
            for pattern, candidates in self._patterns:
                match = pattern.fullmatch(path)
                if match is not None:
                    methods, parameters = candidates, match.groupdict()
                    break
        if methods is None:
            raise refusals.NotFound("There is nothing at this path")
        route = methods.get("GET" if method == "HEAD" else method, methods.get(ANY))
        if route is None and method == WEBSOCKET:
            route = _answered(methods.get("GET"))
        if route is None:
            if list(methods) == [WEBSOCKET]:
                raise refusals.UpgradeRequired("This path speaks WebSocket only")
            allowed = (*methods, *(("HEAD",) if _answered(methods.get("GET")) else ()))
            raise refusals.MethodNotAllowed("This path has no such method", tuple(sorted(allowed)))
        return route, parameters

    def has_feed(self, method: str, path: str) -> bool:
        """Whether that is a live stream rather than a call."""
        try:
            return self.find(method, path)[0].feed is not None and method != "HEAD"
        except Refusal:
            return False


def _parameter(name: str) -> str:
    """Spell a parameter as a pattern: one part of a path, or with a star all that is left of it."""
    return f"(?P<{name[:-1]}>.*)" if name.endswith("*") else f"(?P<{name}>[^/]+)"


def _answered(route: AnyRoute | None) -> AnyRoute | None:
    """The route, unless it is a stream."""
    return route if route is not None and route.operation is not None else None
