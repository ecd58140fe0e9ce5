"""The route table: all paths of the server, combined from the routes of each subject."""

from wr.api.blocks.routes import BLOCK_ROUTES
from wr.api.gate.routes import GATE_ROUTES
from wr.api.operators.routes import OPERATOR_ROUTES
from wr.api.pages.routes import PAGE_ROUTES
from wr.api.passes.routes import PASS_ROUTES
from wr.api.route import AnyRoute
from wr.api.service.routes import SERVICE_ROUTES
from wr.api.user_queue.routes import USER_QUEUE_ROUTES
from wr.api.visitors.routes import VISITOR_ROUTES
from wr.api.webhooks.routes import WEBHOOK_ROUTES

ROUTES: tuple[AnyRoute, ...] = (
    *SERVICE_ROUTES,
    *VISITOR_ROUTES,
    *USER_QUEUE_ROUTES,
    *OPERATOR_ROUTES,
    *PASS_ROUTES,
    *BLOCK_ROUTES,
    *WEBHOOK_ROUTES,
    *GATE_ROUTES,
    *PAGE_ROUTES,
)
