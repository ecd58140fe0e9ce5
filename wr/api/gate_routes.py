"""The routes of the gate, a part of the route table."""

from wr.api import gate_commands, gate_messages, gate_operations
from wr.api.route import ANY, BASE, Auth, Route
from wr.api.waiting_operations import refused_page
from wr.model import refusals

GATE_ROUTES: tuple[Route, ...] = (
    # Not in the description of the API: proxies ask it, with every method there is.
    *(
        Route(
            method=ANY,
            path=f"{BASE}/gate/{path}",
            operation=gate_operations.gate,
            tag="Gate",
            is_page=True,
            refusal_page=refused_page,
        )
        for path in ("{queue_id}", "{queue_id}/{rest*}")
    ),
    Route(
        method="POST",
        path=f"{BASE}/gate-commands/{{queue_id}}",
        operation=gate_commands.origin_command,
        tag="Gate",
        auth=Auth.ORIGIN,
        is_page=True,
    ),
    Route(
        method="POST",
        path=f"{BASE}/sessions/{{session_id}}/commands",
        operation=gate_commands.session_command,
        tag="Sessions",
        auth=Auth.ORIGIN,
        body=gate_messages.SessionCommandRequest,
        answers=((200, "Command carried out", gate_messages.SessionCommandResponse),),
        refusals=(refusals.NotFound, refusals.SessionExpired),
    ),
)
