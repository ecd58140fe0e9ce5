"""`wr queue`: creates, lists, shows, changes, measures, empties and deletes queues."""

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

_queue_id = click.argument("queue_id", metavar="QUEUE", help="Id of the queue.")


@click.group(cls=OrderedGroup)
def queue() -> None:
    """Create, watch, change and empty the queues of a running server."""


@queue.command("create")
@_queue_id
@message_options(CreateQueueRequest, heading="Settings of the queue", without=("id",))
@admin_command
def create_queue(api: AdminClient, queue_id: str, **settings: object) -> Struct:
    """Create a queue. The server sends admitted visitors to its --target-url.

    --unique-by decides what counts as the same visitor, who can hold only one place. client: same user id,
    address and browser; easy to fake, so use it where a place is not worth that. user_id: same user id, which
    must come from a pass or from the site itself. ip: same address. none: every join gets a new place.
    """
    return api.create_queue({"id": queue_id, **settings})


@queue.command("list")
@admin_command
def list_queues(api: AdminClient) -> Struct:
    """List the queues with their status and how full they are."""
    return api.queues()


@queue.command("show")
@_queue_id
@admin_command
def show_queue(api: AdminClient, queue_id: str) -> Struct:
    """Show the settings of a queue and what they mean."""
    return api.queue(queue_id)


@queue.command("update")
@_queue_id
@message_options(UpdateQueueRequest, heading="Settings to change")
@yes_option
@admin_command
def update_queue(api: AdminClient, queue_id: str, yes: bool, **changes: object) -> Struct:
    """Change settings of a queue. Other settings stay as they are.

    A change takes effect on every server within one admission interval. --status paused: visitors keep their
    places and can join, but no one is admitted. --status maintenance: visitors cannot join either. --status
    active: normal operation. The command asks for confirmation if a shorter heartbeat timeout may cost
    visitors their places.
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
            f"{found.silent:,} of {found.waiting:,} waiting visitors have sent no heartbeat for {timeout_s} "
            "seconds. They lose their places if they stay silent. Change the timeout?"
        )


@queue.command("silent")
@_queue_id
@click.option("--timeout-seconds", type=click.IntRange(1), required=True, help="The timeout to try.")
@admin_command
def queue_silent(api: AdminClient, queue_id: str, timeout_seconds: int) -> Struct:
    """Show how many places a shorter heartbeat timeout would cost.

    Counts the waiting visitors who have sent no heartbeat for that long. With the shorter timeout, they would
    lose their places if they stayed silent.
    """
    return api.silent(queue_id, timeout_seconds)


@queue.command("stats")
@_queue_id
@click.option("--watch", is_flag=True, help="Update every second, until Ctrl-C.")
@admin_command
def queue_stats(api: AdminClient, queue_id: str, watch: bool) -> Struct | None:
    """Show the figures of a queue and how each is measured."""
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
    """Delete a queue with all its places and sessions.

    Waiting visitors lose their places. Admitted visitors lose their sessions.
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
    """Remove all waiting visitors from a queue. Admitted visitors stay."""
    if not yes:
        confirm(f"Remove all waiting visitors from {queue_id}, {api.stats(queue_id).current_waiting:,} now?")
    return api.flush(queue_id)
