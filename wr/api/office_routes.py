"""The part of the route table with which operators look: at history, at changes, for people."""

from collections.abc import Callable
from typing import TypeVar

from wr.api import office_messages, office_operations
from wr.model import refusals

Made = TypeVar("Made")


def office_routes(admin: Callable[..., Made]) -> tuple[Made, ...]:
    """Make the routes; `admin` makes a route of the admin API: method, path, operation and the rest."""
    return (
        admin(
            "GET",
            "/queues/{queue_id}/history",
            office_operations.queue_history,
            query=office_messages.HistoryQuery,
            answers=((200, "How the queue went", office_messages.HistoryResponse),),
            refusals=(refusals.NotFound,),
        ),
        admin(
            "GET",
            "/queues/{queue_id}/silent",
            office_operations.silent,
            query=office_messages.SilentQuery,
            answers=((200, "How many are silent", office_messages.SilentResponse),),
            refusals=(refusals.NotFound,),
        ),
        admin(
            "GET",
            "/audit",
            office_operations.audit,
            query=office_messages.AuditQuery,
            answers=((200, "Who changed what", office_messages.AuditResponse),),
        ),
        admin(
            "GET",
            "/positions/{position_id}",
            office_operations.find_position,
            answers=((200, "Position found", office_messages.FoundPositionResponse),),
            refusals=(refusals.NotFound,),
        ),
        admin(
            "GET",
            "/sessions/{session_id}",
            office_operations.find_session,
            answers=((200, "Session found", office_messages.FoundSessionResponse),),
            refusals=(refusals.NotFound,),
        ),
    )
