"""The router: finds the route of a request by its method and path."""

import re

from wr.api.http_messages import WEBSOCKET
from wr.api.route import ANY, AnyRoute
from wr.api.routes import ROUTES
from wr.model import refusals
from wr.model.bounded_cache import BoundedCache
from wr.model.refusals import Refusal

_MOST_REMEMBERED = 1024
"""Paths whose routes are remembered: enough for a few hundred queues."""
_PARAMETER = re.compile(r"\{(\w+\*?)\}")


class Router:
    """Finds the route of a request by its method and path. Remembers recent results."""

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
        """Find the route and its path parameters.

        HEAD uses the route of GET. So does an upgrade request if the path has no WebSocket.

        Raises:
            NotFound: no route has this path.
            MethodNotAllowed: the path does not support the method.
            UpgradeRequired: the path supports WebSockets only.
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
            raise refusals.NotFound("This path does not exist")
        route = methods.get("GET" if method == "HEAD" else method, methods.get(ANY))
        if route is None and method == WEBSOCKET:
            route = _with_operation(methods.get("GET"))
        if route is None:
            if list(methods) == [WEBSOCKET]:
                raise refusals.UpgradeRequired("This path supports WebSockets only")
            allowed = (*methods, *(("HEAD",) if _with_operation(methods.get("GET")) else ()))
            raise refusals.MethodNotAllowed("This path does not support this method", tuple(sorted(allowed)))
        return route, parameters

    def has_feed(self, method: str, path: str) -> bool:
        """Whether the request opens a live stream."""
        try:
            return self.find(method, path)[0].feed is not None and method != "HEAD"
        except Refusal:
            return False


def _parameter(name: str) -> str:
    """Return the pattern of a parameter: one segment of the path, or with a star the whole rest."""
    return f"(?P<{name[:-1]}>.*)" if name.endswith("*") else f"(?P<{name}>[^/]+)"


def _with_operation(route: AnyRoute | None) -> AnyRoute | None:
    """Return the route if it has an operation. A live stream has none."""
    return route if route is not None and route.operation is not None else None
