"""Routes of pages and their files."""

from wr.api.message_readers import NOTHING
from wr.api.pages import file_operations, no_script_page, waiting_page
from wr.api.route import Operation, RefusalPage, Route
from wr.model import refusals
from wr.model.refusals import Refusal


def _page(
    path: str,
    operation: Operation[None],
    *,
    refusals: tuple[type[Refusal], ...] = (),
    refusal_page: RefusalPage | None = None,
) -> Route[None]:
    return Route(
        method="GET",
        path=path,
        reads=NOTHING,
        operation=operation,
        tag="Pages",
        is_page=True,
        refusals=refusals,
        refusal_page=refusal_page,
    )


PAGE_ROUTES = (
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
        reads=NOTHING,
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
