"""`wr queue`: creates, lists, shows, changes, measures, empties and deletes queues."""

from typing import TYPE_CHECKING

import click
from msgspec import Struct

from wr.api.operators.queue_messages import CreateQueueRequest, UpdateQueueRequest
from wr.cli.options import (
    OrderedGroup,
    admin_command,
    confirm,
    message_options,
    yes_option,
)
from wr.client.admin_client import AdminClient

if TYPE_CHECKING:
    pass


_queue_id = click.argument("queue_id", metavar="QUEUE", help="Id of the queue.")


@click.group(cls=OrderedGroup)
def queue() -> None:
    """Make, watch, change and empty the queues of a running server."""


@queue.command("create")
@_queue_id
@message_options(CreateQueueRequest, heading="Settings of the queue", without=("id",))
@admin_command
def create_queue(api: AdminClient, queue_id: str, **settings: object) -> Struct:
    """Make a queue. People who are let in are sent to its --target-url.

    --unique-by says which visitors may hold one place only. client: the same user id, address and browser,
    for places that are not worth stealing. user_id: the same user id, which counts only with a pass or in a
    call by the site itself. ip: one place for each address. none: every join is a new place.
    """
    return api.create_queue({"id": queue_id, **settings})


@queue.command("list")
@admin_command
def list_queues(api: AdminClient) -> Struct:
    """List the queues: what each is doing and how full it is."""
    return api.queues()


@queue.command("show")
@_queue_id
@admin_command
def show_queue(api: AdminClient, queue_id: str) -> Struct:
    """Show a queue's settings and what they mean."""
    return api.queue(queue_id)


@queue.command("update")
@_queue_id
@message_options(UpdateQueueRequest, heading="Settings to change")
@yes_option
@admin_command
def update_queue(api: AdminClient, queue_id: str, yes: bool, **changes: object) -> Struct:
    """Change settings of a queue; the rest stays.

    A change holds at every server within one admission interval. --status paused keeps the line and lets
    nobody in; maintenance takes nobody new either; active ends both. A shorter heartbeat timeout that may
    cost visitors their places is asked about.
    """
    if not changes:
        raise click.UsageError("Give at least one setting to change.")
    timeout = changes.get("heartbeat_timeout_seconds")
    if isinstance(timeout, int) and not yes:
        _ask_about_timeout(api, queue_id, timeout)
    return api.update_queue(queue_id, changes)


def _ask_about_timeout(api: AdminClient, queue_id: str, timeout_s: int) -> None:
    if timeout_s >= api.queue(queue_id).heartbeat_timeout_seconds:
        return
    found = api.silent(queue_id, timeout_s)
    if found.silent:
        confirm(
            f"{found.silent:,} of {found.waiting:,} in line have not been heard for {timeout_s} seconds, and "
            "lose their places if they stay silent. Change it?"
        )


@queue.command("silent")
@_queue_id
@click.option("--timeout-seconds", type=click.IntRange(1), required=True, help="The timeout that is wished.")
@admin_command
def queue_silent(api: AdminClient, queue_id: str, timeout_seconds: int) -> Struct:
    """Show what a shorter heartbeat timeout would cost.

    That is how many of those in line have not been heard for so long, and lose their places if they stay
    silent.
    """
    return api.silent(queue_id, timeout_seconds)


@queue.command("stats")
@_queue_id
@click.option("--watch", is_flag=True, help="Look again every second, until Ctrl-C.")
@admin_command
def queue_stats(api: AdminClient, queue_id: str, watch: bool) -> Struct | None:
    """Show a queue's figures and how each is measured."""
    if not watch:
        return api.stats(queue_id)
    from wr.cli import tables

    with tables.stats_display(as_json=click.get_current_context().params["as_json"]) as display:
        tables.watch(lambda: api.stats(queue_id), display)
    return None


@queue.command("delete")
@_queue_id
@yes_option
@admin_command
def delete_queue(api: AdminClient, queue_id: str, yes: bool) -> Struct:
    """Delete a queue and everyone in it.

    Those who wait lose their places, and those who have been let in their sessions.
    """
    if not yes:
        now = api.stats(queue_id)
        confirm(f"Delete {queue_id}, with {now.current_waiting:,} waiting and {now.current_active:,} inside?")
    return api.delete_queue(queue_id)


@queue.command("flush")
@_queue_id
@yes_option
@admin_command
def flush_queue(api: AdminClient, queue_id: str, yes: bool) -> Struct:
    """Send away everyone who waits. Those who have been let in stay."""
    if not yes:
        confirm(f"Send away everyone who waits in {queue_id}, {api.stats(queue_id).current_waiting:,} now?")
    return api.flush(queue_id)
