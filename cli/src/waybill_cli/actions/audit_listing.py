"""Listing of the audit trail, for `waybill audit` and `waybill dlq audit`."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click

from waybill_cli.command_line import CommandError, Refused, Unreachable
from waybill_cli.output import Moment, when
from waybill_cli.session import (
    Id,
    Session,
    find_schedule_id,
    find_task_id,
    list_options,
    show_listing,
    with_whole_group,
)

_F = TypeVar("_F", bound=Callable[..., Any])

_COLUMNS: Final = ("WHEN", "WHO", "WHAT", "REDRIVE", "LETTERS", "GROUP", "SUBJECT", "WHY")


def audit_options(command: _F) -> _F:
    """Adds the filters of the audit trail."""
    command = list_options(command)
    for option in (
        click.option("--until", type=Moment(), help="Before."),
        click.option("--since", type=Moment(), help="At or after: 30m, 2h, 7d (ago), or ISO 8601."),
        click.option(
            "--subject",
            type=Id(),
            metavar="ID",
            help="Reveals of this task, of its letters, or of this schedule.",
        ),
        click.option("--group", metavar="GROUP", help="Actions on this group of dead letters."),
        click.option("--redrive", type=click.IntRange(min=1), help="Actions on this redrive."),
        click.option(
            "--action", metavar="WORD", help="Only this action: reveal, plan, start, discard, erase …"
        ),
        click.option("--who", "actor", metavar="NAME", help="Actions of this person."),
    ):
        command = option(command)
    return command


def show_audit(session: Session, *, limit: int, every: bool, subject: str | None, **asked: Any) -> None:
    """Lists audit entries, the latest first."""
    wanted = with_whole_group(session, asked) | {"subject": subject and _subject(session, subject)}
    show_listing(session, "/v1/audit", _COLUMNS, _row, limit=limit, every=every, **wanted)


def _subject(session: Session, beginning: str) -> str:
    """The id of a task or schedule; a whole id is accepted even if the task was pruned since."""
    try:
        return find_task_id(session, beginning)
    except (Refused, Unreachable):
        raise
    except CommandError as no_task:
        try:
            return find_schedule_id(session, beginning)
        except CommandError:
            raise no_task from None


def _row(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    letter = (entry["details"] or {}).get("letter")
    return (
        when(entry["at"]),
        entry["actor"],
        entry["action"],
        entry["redrive"],
        entry["letters"],
        entry["group"],
        entry["subject"],
        "; ".join(filter(None, (f"letter {letter}" if letter else None, entry["reason"]))),
    )
