"""The routes of pages, a part of the route table."""

from collections.abc import Awaitable, Callable

from wr.api import page_operations, plain_operations, waiting_operations
from wr.api.calls import Answer, Call, Services
from wr.api.route import Route
from wr.model import refusals


def _page(
    path: str,
    operation: Callable[[Services, Call], Awaitable[Answer]],
    **rest: object,
) -> Route:
    return Route(
        method="GET",
        path=path,
        operation=operation,
        tag="Pages",
        is_page=True,
        **rest,  # type: ignore[arg-type]
    )


PAGE_ROUTES: tuple[Route, ...] = (
    _page("/", page_operations.index),
    _page("/favicon.ico", page_operations.icon),
    _page("/docs", page_operations.docs),
    _page("/admin", page_operations.admin_console),
    _page(
        "/wait/{queue_id}",
        plain_operations.wait,
        refusals=(refusals.NotFound,),
        refusal_page=waiting_operations.refused_page,
    ),
    Route(
        method="POST",
        path="/wait/{queue_id}/leave",
        operation=plain_operations.leave,
        tag="Pages",
        is_page=True,
        refusal_page=waiting_operations.refused_page,
    ),
    _page("/wait/{queue_id}/qr.svg", waiting_operations.qr_code),
    _page("/wr.js", waiting_operations.client_module),
    _page("/wr.d.ts", waiting_operations.client_types),
    _page(
        "/wr-assets/{name}",
        page_operations.asset,
        refusals=(refusals.NotFound,),
    ),
)
