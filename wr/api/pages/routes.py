"""Routes of pages and their files."""

from collections.abc import Awaitable, Callable

from wr.api.pages import file_operations, no_script_page, waiting_page
from wr.api.request_context import Answer, RequestContext, Services
from wr.api.route import Route
from wr.model import refusals


def _page(
    path: str,
    operation: Callable[[Services, RequestContext], Awaitable[Answer]],
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
    _page("/", file_operations.index),
    _page("/favicon.ico", file_operations.icon),
    _page("/docs", file_operations.docs),
    _page("/admin", file_operations.admin_console),
    _page(
        "/wait/{queue_id}",
        no_script_page.wait,
        refusals=(refusals.NotFound,),
        refusal_page=waiting_page.refused_page,
    ),
    Route(
        method="POST",
        path="/wait/{queue_id}/leave",
        operation=no_script_page.leave,
        tag="Pages",
        is_page=True,
        refusal_page=waiting_page.refused_page,
    ),
    _page("/wait/{queue_id}/qr.svg", waiting_page.qr_code),
    _page("/wr.js", waiting_page.client_module),
    _page("/wr.d.ts", waiting_page.client_types),
    _page(
        "/wr-assets/{name}",
        file_operations.asset,
        refusals=(refusals.NotFound,),
    ),
)
