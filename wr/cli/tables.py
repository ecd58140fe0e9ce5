"""Shows answers of the API to people: tables of queues, figures, keys and more, or JSON for programs."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import singledispatch
from typing import Any

import click
import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from wr.api.blocks.messages import BlockEndedResponse, BlockListResponse
from wr.api.operators.audit_messages import AuditEntryResponse, AuditResponse
from wr.api.operators.key_messages import KeyListResponse
from wr.api.operators.people_messages import FoundPositionResponse, FoundSessionResponse
from wr.api.operators.queue_messages import (
    CreateQueueRequest,
    DeleteQueueResponse,
    FlushResponse,
    QueueListResponse,
    QueueResponse,
    StatsResponse,
    UpdateQueueRequest,
)
from wr.api.operators.session_messages import TerminateResponse
from wr.api.operators.silence_messages import SilentResponse
from wr.api.passes.messages import IssuedPassesResponse, RevokedPassResponse
from wr.api.webhooks.messages import (
    ChangedWebhookResponse,
    DeadLetterGoneResponse,
    DeadLetterListResponse,
    DeleteWebhookResponse,
    NewWebhookResponse,
    WebhookListResponse,
)
from wr.cli.message_fields import meanings
from wr.client.admin_client import AdminFailure
from wr.model.whole_numbers import plain_numbers

WATCH_S = 1.0
"""Seconds between two updates of `--watch`: 60 calls a minute stay below the limit of the admin API."""
_WIDTH_WITHOUT_TERMINAL = 160


def make_console() -> Console:
    """Make a console on standard output that shows text as it is: names are free text, never markup."""
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = (
            _WIDTH_WITHOUT_TERMINAL  # Without a terminal rich assumes 80 columns, which cut lines.
        )
    return console


def show_answer(answer: msgspec.Struct, *, as_json: bool) -> None:
    """Print an answer of the API: as indented JSON, or in the form for its type."""
    if as_json:
        click.echo(msgspec.json.format(_as_sent(answer), indent=2))
    else:
        # Long lines are not cut, so that links can be copied.
        make_console().print(in_words(answer), crop=False)


@singledispatch
def in_words(answer: msgspec.Struct) -> RenderableType:
    """Return an answer of the API in the form for its type.

    Raises:
        TypeError: there is no form for the type.
    """
    raise TypeError(f"there is no form for a {type(answer).__name__}")


@in_words.register
def _queue_list(answer: QueueListResponse) -> RenderableType:
    """Show one queue per row: its status and how full it is."""
    if not answer.queues:
        return Text("There is no queue yet: create one with `wr queue create`.")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("queue", "name", "status"):
        table.add_column(heading, overflow="fold")
    for heading in ("waiting", "inside", "at most", "per second", "at most", "let in today"):
        table.add_column(heading, justify="right")
    for summary in answer.queues:
        queue, stats = summary.queue, summary.stats
        numbers = (
            stats.current_waiting,
            stats.current_active,
            queue.max_active_users,
            stats.admission_rate_actual,
            queue.admission_rate,
            stats.total_admitted_today,
        )
        table.add_row(_plain(queue.id), _plain(queue.name), _status(queue.status), *map(_spell, numbers))
    return table


@in_words.register
def _queue(queue: QueueResponse) -> RenderableType:
    """Show a queue's settings, each with what it means."""
    # Of a setting that may be left out, the wish for a new queue says what it is then.
    return _facts(queue, meanings(CreateQueueRequest) | meanings(UpdateQueueRequest))


@in_words.register
def _silent(silent: SilentResponse) -> RenderableType:
    """Show how many places a heartbeat timeout would cost."""
    return _facts(silent, meanings(SilentResponse))


@in_words.register
def _stats(stats: StatsResponse) -> RenderableType:
    """Show a queue's figures, each with how it is measured."""
    return _facts(stats, meanings(StatsResponse))


@in_words.register
def _keys(answer: KeyListResponse) -> RenderableType:
    """Show signing keys. Their secret parts never leave the server."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("key", "signs", "algorithm", "made", "signs new tokens from"):
        table.add_column(heading, overflow="fold")
    for key in answer.keys:
        table.add_row(
            _plain(key.kid),
            _plain(f"{key.purpose} tokens"),
            _plain(key.algorithm),
            _plain(key.created_at),
            _plain(key.active_at),
        )
    return table


@in_words.register
def _deleted(answer: DeleteQueueResponse) -> RenderableType:
    return _plain(f"{answer.id} is deleted.")


@in_words.register
def _flushed(answer: FlushResponse) -> RenderableType:
    return _plain(f"{answer.flushed:,} waiting visitors removed from {answer.queue_id}.")


@in_words.register
def _audit(answer: AuditResponse) -> RenderableType:
    """Show one change per row: which operator changed what."""
    if not answer.entries:
        return Text("There are no changes yet.")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("when", "operator", "address", "action", "queue", "details"):
        table.add_column(heading, overflow="fold")
    for entry in answer.entries:
        cells = (entry.at, entry.operator, entry.address, entry.action, entry.queue_id or "", _how(entry))
        table.add_row(*map(_plain, cells))
    return table


def _how(entry: AuditEntryResponse) -> str:
    changes = [
        f"{_name(name)} {_spell(change.before)} → {_spell(change.after)}"
        for name, change in entry.changes.items()
    ]
    facts = [
        f"{_name(name)} {' '.join(value) if isinstance(value, list) else _spell(value)}"
        for name, value in entry.facts.items()
        if value != ""  # A new queue has many optional settings, most of them empty.
    ]
    return ", ".join([*changes, *facts])


@in_words.register
def _found_position(answer: FoundPositionResponse) -> RenderableType:
    """Show everything that is known about a place."""
    return _facts(answer, meanings(FoundPositionResponse))


@in_words.register
def _found_session(answer: FoundSessionResponse) -> RenderableType:
    """Show everything that is known about a session."""
    return _facts(answer, meanings(FoundSessionResponse))


@in_words.register
def _issued_passes(answer: IssuedPassesResponse) -> RenderableType:
    """Show passes in a table, and their links below it. Links are not wrapped, so that they can be copied."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("subject", "pass", "priority", "uses", "expires"):
        table.add_column(heading, overflow="fold")
    for each in answer.passes:
        uses = f"{answer.uses:,}" if answer.uses else "any number"
        cells = (each.subject, each.pass_id, str(answer.priority), uses, answer.expires_at)
        table.add_row(*map(_plain, cells))
    links = Text("\n".join(_printable(each.link) for each in answer.passes), no_wrap=True, overflow="ignore")
    return Group(table, Text("Links (shown only now):"), links)


@in_words.register
def _revoked_pass(answer: RevokedPassResponse) -> RenderableType:
    gave = "1 place" if answer.uses == 1 else f"{answer.uses:,} places"
    ended = " The last of them is ended." if answer.place_ended else ""
    return _plain(f"{answer.pass_id} is revoked. It gave {gave}.{ended}")


@in_words.register
def _blocks(answer: BlockListResponse) -> RenderableType:
    """Show one block per row."""
    if not answer.blocks:
        return _plain(f"Nothing is blocked in {answer.queue_id}.")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("block", "scope", "blocked", "until", "reason", "operator", "since"):
        table.add_column(heading, overflow="fold")
    for each in answer.blocks:
        cells = (
            each.id,
            each.scope,
            each.of,
            each.blocked_until,
            each.reason,
            each.operator,
            each.created_at,
        )
        table.add_row(*map(_plain, cells))
    return table


@in_words.register
def _ended_block(answer: BlockEndedResponse) -> RenderableType:
    return _plain(f"{answer.id} is ended.")


@in_words.register
def _ended_session(answer: TerminateResponse) -> RenderableType:
    blocked = (
        ""
        if answer.blocked_until is msgspec.UNSET
        else f" The visitor is blocked until {answer.blocked_until}."
    )
    return _plain(f"{answer.session_id} is ended.{blocked}")


@in_words.register
def _webhooks(answer: WebhookListResponse) -> RenderableType:
    """Show one webhook per row."""
    if not answer.webhooks:
        return Text("There is no webhook yet: add one with `wr webhook add`.")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("webhook", "url", "events", "queue", "added"):
        table.add_column(heading, overflow="fold")
    for hook in answer.webhooks:
        cells = (hook.id, hook.url, " ".join(hook.events), hook.queue_id or "all", hook.created_at)
        table.add_row(*map(_plain, cells))
    return table


@in_words.register
def _new_webhook(answer: NewWebhookResponse) -> RenderableType:
    """Show a new webhook and its secret."""
    return _plain(f"{answer.id} is added. Its secret (shown only now): {answer.secret}")


@in_words.register
def _changed_webhook(answer: ChangedWebhookResponse) -> RenderableType:
    """Show that a webhook was changed, and its secret if the secret is new."""
    if answer.secret is msgspec.UNSET:
        return _plain(f"{answer.id} is changed.")
    return _plain(f"{answer.id} is changed. Its new secret (shown only now): {answer.secret}")


@in_words.register
def _deleted_webhook(answer: DeleteWebhookResponse) -> RenderableType:
    return _plain(f"{answer.id} is deleted.")


@in_words.register
def _dead_letters(answer: DeadLetterListResponse) -> RenderableType:
    """Show one dead letter per row: a delivery that failed at every try."""
    if not answer.dead_letters:
        return Text("There are no dead letters: every delivery succeeded or has tries left.")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("delivery", "given up", "event", "queue", "tries", "what went wrong", "webhook"):
        table.add_column(heading, overflow="fold")
    for dead in answer.dead_letters:
        tries = f"{dead.attempts:,}"
        cells = (dead.id, dead.died_at, dead.event_type, dead.queue_id, tries, dead.error, dead.webhook_id)
        table.add_row(*map(_plain, cells))
    return table


@in_words.register
def _letter_gone(answer: DeadLetterGoneResponse) -> RenderableType:
    what = "is tried again" if answer.status == "retrying" else "is discarded"
    return _plain(f"{answer.id} {what}.")


def watch(
    look: Callable[[], StatsResponse],
    display: Callable[[StatsResponse], None],
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Display the result of `look` every second until Ctrl-C. Meanwhile waits for an unreachable server.

    Raises:
        AdminFailure: the first call failed, or a later one failed for good.
    """
    try:
        display(look())
        while True:
            pause(WATCH_S)
            try:
                display(look())
            except AdminFailure as failure:
                if not failure.may_pass:
                    raise
                click.echo(f"wr: {failure}", err=True)
    except KeyboardInterrupt:
        return


@contextmanager
def stats_display(*, as_json: bool) -> Iterator[Callable[[StatsResponse], None]]:
    """Give a function that displays figures repeatedly: in place on a terminal, else one below the other.

    As JSON, it prints one line each time.
    """
    console = make_console()
    if as_json:
        yield lambda stats: click.echo(_as_sent(stats))
    elif console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            yield lambda stats: live.update(in_words(stats), refresh=True)
    else:
        yield lambda stats: console.print(in_words(stats))


def _facts(answer: msgspec.Struct, means: dict[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold", max_width=60)
    table.add_column(style="dim")
    for name, value in msgspec.structs.asdict(answer).items():
        if value is msgspec.UNSET:
            continue
        shown = _status(value) if name == "status" else _spell(value)
        table.add_row(_plain(_name(name)), shown, _plain(means.get(name, "")))
    return table


def _name(field: str) -> str:
    return field.replace("_", " ")


def _as_sent(answer: msgspec.Struct) -> bytes:
    """Encode an answer as the server did: decoding turned whole numbers into floats."""
    return msgspec.json.encode(plain_numbers(msgspec.to_builtins(answer)))


def _status(status: str) -> Text:
    colour = {"active": "green", "paused": "yellow", "maintenance": "red"}.get(status, "")
    return Text(_printable(status), style=colour)


def _spell(value: Any) -> Text:
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if isinstance(value, int):
        return Text(f"{value:,}")
    if isinstance(value, float):
        return Text(f"{value:,.3f}".rstrip("0").rstrip("."))
    if isinstance(value, dict):
        return Text("\n").join(_plain(f"{name}: {each}") for name, each in value.items())
    return _plain(str(value))


def _plain(text: str) -> Text:
    return Text(_printable(text))


def _printable(text: str) -> str:
    """Replace control characters: names are free text, and a terminal would execute escape sequences."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )
