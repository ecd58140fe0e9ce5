"""The route table: what a route reads is what its operation is given."""

from typing import get_args, get_type_hints

import msgspec
import pytest

from wr.api.message_readers import Body, Query
from wr.api.operators.queue_messages import CreateQueueRequest, UpdateQueueRequest
from wr.api.route import AnyRoute
from wr.api.routes import ROUTES

MADE_FROM_SETTINGS = (CreateQueueRequest, UpdateQueueRequest)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_an_operation_takes_the_message_that_its_route_reads(route: AnyRoute) -> None:
    # mypy says the same of each route, but not where a table is annotated as one of any routes.
    _services, request, _result = get_type_hints(route.function).values()
    [taken] = get_args(request)
    read = route.reads.kind if isinstance(route.reads, Body | Query) else type(None)
    # Messages that are made from the definitions of settings have no name for a type checker.
    assert read is taken or (taken is msgspec.Struct and read in MADE_FROM_SETTINGS)
