"""The routes of the gate, a part of the route table."""

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
            (204, "The request may pass; `X-WR-Session` and `X-WR-Queue` say of which session", Empty),
            (303, "The visitor is to go to `Location`: to wait, or to where the token is not seen", Empty),
            (401, "The same where the proxy asks with `?refuse=401`: it is in `X-WR-Location`", Empty),
            (403, "With `?refuse=401`, while the store is away: the visitor is to try again", Empty),
        ),
        refusals=(refusals.NotFound,),
        refusal_page=refused_page,
    ),
    # Not in the description of the API, which has no words for a path within a path: Envoy's way to ask.
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
        answers=((204, "The command in `X-WR-Command` is carried out, or there is none", Empty),),
        refusals=(refusals.NotFound, refusals.SessionExpired),
    ),
    Route(
        method="POST",
        path=f"{BASE}/sessions/{{session_id}}/commands",
        operation=command_operations.session_command,
        tag="Sessions",
        auth=Auth.ORIGIN,
        reads=Body(messages.SessionCommandRequest),
        answers=((200, "Command carried out", messages.SessionCommandResponse),),
        refusals=(refusals.NotFound, refusals.SessionExpired),
    ),
)
