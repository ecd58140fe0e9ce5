"""Routes of the gate."""

from wr.api.gate import command_operations, messages, operations
from wr.api.message_readers import NOTHING, Body
from wr.api.pages.waiting_page import refused_page
from wr.api.route import ANY, BASE, Auth, Empty, Route
from wr.model import refusals

GATE_ROUTES = (
    Route(
        method=ANY,
        path=f"{BASE}/gate/{{queue_id}}",
        reads=NOTHING,
        operation=operations.gate,
        tag="Gate",
        answers=(
            (204, "The request may pass. `X-WR-Session` and `X-WR-Queue` name its session", Empty),
            (303, "Redirect to `Location`: to the waiting page, or to the URL without the token", Empty),
            (401, "The same redirect for `?refuse=401`, in `X-WR-Location`", Empty),
            (403, "For `?refuse=401`, while the store is unreachable: try again later", Empty),
        ),
        refusals=(refusals.NotFound,),
        refusal_page=refused_page,
    ),
    # For Envoy. Not in the OpenAPI document, because no OpenAPI parameter can span several path segments.
    Route(
        method=ANY,
        path=f"{BASE}/gate/{{queue_id}}/{{rest*}}",
        reads=NOTHING,
        operation=operations.gate,
        tag="Gate",
        is_page=True,
        refusal_page=refused_page,
    ),
    Route(
        method="POST",
        path=f"{BASE}/gate-commands/{{queue_id}}",
        reads=NOTHING,
        operation=command_operations.origin_command,
        tag="Gate",
        auth=Auth.ORIGIN,
        answers=((204, "The command in `X-WR-Command` is executed, or there is none", Empty),),
        refusals=(refusals.NotFound, refusals.SessionExpired),
    ),
    Route(
        method="POST",
        path=f"{BASE}/sessions/{{session_id}}/commands",
        operation=command_operations.session_command,
        tag="Sessions",
        auth=Auth.ORIGIN,
        reads=Body(messages.SessionCommandRequest),
        answers=((200, "Command executed", messages.SessionCommandResponse),),
        refusals=(refusals.NotFound, refusals.SessionExpired),
    ),
)
