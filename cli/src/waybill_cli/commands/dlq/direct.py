"""`waybill dlq --direct`: dead letters directly at the broker, when ledger or gateway are down."""

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import click

from waybill_cli.broker import (
    Letter,
    Redriven,
    Redriver,
    Wanted,
    connected_broker,
    find_queue,
    run_on_broker,
    take_letters,
)
from waybill_cli.checking import UNFIXABLE
from waybill_cli.command_line import Exit, Group
from waybill_cli.output import age
from waybill_cli.session import DEFAULT_LIMIT, Session, Setting, service_option, services_of, with_session
from waybill_contracts.wire import dead_letter_queue

_COLUMNS: Final = ("SERVICE", "TASK", "KIND", "REDRIVE", "DIED", "REASON", "VERDICT", "ERROR")
#: Default letters a second, as in plans of the failure desk.
_RATE: Final = 10.0
_DESK_RUNS: Final = """\
The failure desk consumes these queues, so their letters are in the ledger: use `waybill dlq` without
--direct. When the desk is stopped, letters that it had taken and not yet stored return to these queues."""
_UNCHECKED: Final = """\
Directly at the broker there is no check whether a task was completed, cancelled or redriven in the meantime
(the inbox of its service drops what would run twice), no canary, no audit trail and no outcome (the ledger
gets it from the service when it is back)."""


@click.group(cls=Group)
def direct() -> None:
    """Dead letters directly at the broker: `ls` and `redrive`, without ledger or gateway."""


def _selection(command: Any) -> Any:
    for option in (
        click.option(
            "--reason", metavar="WORD", help="Only letters with this reason: permanent, exhausted …"
        ),
        click.option("--kind", metavar="KIND", help="Only this kind."),
        click.option(
            "--task", "tasks", type=click.UUID, multiple=True, help="Only this task; may be repeated."
        ),
        service_option,
    ):
        command = option(command)
    return command


@direct.command("ls", epilog="waybill dlq --direct amqp://admin@broker/ ls --service sync\n")
@_selection
@click.option(
    "--limit", type=click.IntRange(min=1), default=DEFAULT_LIMIT, show_default=True, help="Of each queue."
)
@with_session
def list_queued_letters(
    session: Session, /, *, services: tuple[str, ...], limit: int, **selected: Any
) -> None:
    """Lists the letters in the dead-letter queues, oldest first.

    Each letter is taken and returned. The broker counts that: a dead-letter queue allows a million.
    """
    url = session.config.amqp_url()
    reading = _read(url, services_of(session, services), _wanted(**selected), limit)
    found, more, taken_by_desk = run_on_broker(reading)
    if session.out.as_json:
        for letter in found:
            session.out.document(letter.facts())
    else:
        session.out.table(_COLUMNS, map(_row, found))
    if taken_by_desk:
        session.out.remark(_DESK_RUNS)
    for name, count in more.items():
        session.out.remark(f"{name} holds {count} letters; the first {limit} were read (--limit).")


async def _read(
    url: Setting, services: tuple[str, ...], wanted: Wanted, limit: int
) -> tuple[list[Letter], dict[str, int], bool]:
    found: list[Letter] = []
    more: dict[str, int] = {}
    taken_by_desk = False
    async with connected_broker(url) as connection:
        for service in services:
            queue = await find_queue(connection, dead_letter_queue(service))
            if queue is None:
                continue
            found += [letter async for letter in take_letters(queue, service, limit) if wanted.takes(letter)]
            await queue.channel.close()
            taken_by_desk = taken_by_desk or bool(queue.declaration_result.consumer_count)
            if (count := queue.declaration_result.message_count or 0) > limit:
                more[queue.name] = count
    return found, more, taken_by_desk


@direct.command(
    "redrive",
    epilog="waybill dlq --direct amqp://admin@broker/ redrive --service sync --limit 5\n"
    "waybill dlq --direct configured redrive --kind sync.requested --rate 50 --yes",
)
@_selection
@click.option(
    "--rate",
    type=click.FloatRange(min=0.1, max=2000),
    default=_RATE,
    show_default=True,
    help="Letters a second.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Number of letters at most; begin with a few.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_session
def redrive_queued_letters(
    session: Session,
    /,
    *,
    services: tuple[str, ...],
    rate: float,
    limit: int | None,
    yes: bool,
    **selected: Any,
) -> Exit:
    """Sends dead letters back to their services' work queues.

    Each is published, confirmed, then removed from its dead-letter queue; the command may be interrupted
    at any time and repeated. Letters that this release cannot read are left, and the exit code is 1.
    """
    wanted = _wanted(**selected)
    url = session.config.amqp_url()
    services = services_of(session, services)
    counts = run_on_broker(_counts(url, services))
    waiting = ", ".join(f"{count} of {name}" for name, count in counts.items() if count) or "none"
    which = "the selected ones" if wanted != Wanted() or limit else "all"
    if any(counts.values()):
        session.out.remark(_UNCHECKED)
        session.confirm(f"Redrive {which} of the letters that wait ({waiting})?", yes=yes)
    done = Redriven()

    async def redrive(show_progress: Callable[[int, str], None]) -> None:
        async with connected_broker(url) as connection:
            redriver = Redriver(
                connection,
                done,
                wanted,
                rate=rate,
                most=limit,
                on_letter=lambda: show_progress(done.sent + done.left.total(), f"sent {done.sent}"),
            )
            for service in counts:
                await redriver.redrive(service)

    try:
        with session.out.bar("redriving", sum(counts.values())) as show_progress:
            run_on_broker(redrive(show_progress))
    finally:
        if session.out.as_json:
            session.out.document({"sent": done.sent, "left": dict(done.left)})
        else:
            session.out.line(f"sent {done.sent}")
            for why, count in sorted(done.left.items()):
                session.out.line(f"left {count}: {why}")
    return Exit.NO if done.left[UNFIXABLE] else Exit.OK


def _wanted(tasks: tuple[UUID, ...], kind: str | None, reason: str | None) -> Wanted:
    return Wanted(frozenset(map(str, tasks)), kind, reason)


async def _counts(url: Setting, services: tuple[str, ...]) -> dict[str, int]:
    counts: dict[str, int] = {}
    async with connected_broker(url) as connection:
        for service in services:
            queue = await find_queue(connection, dead_letter_queue(service))
            if queue is not None:
                counts[service] = queue.declaration_result.message_count or 0
    return counts


def _row(letter: Letter) -> tuple[Any, ...]:
    facts = letter.facts()
    error = f"{facts['error_type']}: {facts['error_message']}" if facts["error_type"] else letter.fit.why
    return (
        facts["service"],
        facts["task_id"],
        facts["kind"],
        facts["redrive_no"],
        age(facts["died_at"]),
        facts["reason"],
        facts["verdict"],
        error,
    )
