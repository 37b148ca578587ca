"""`waybill dlq discard|archive|restore`: closing letters without a redrive."""

from typing import Any

import click

from waybill_cli.command_line import Command
from waybill_cli.commands.dlq.options import described, selection, selection_options
from waybill_cli.output import when
from waybill_cli.session import Session, with_session

_because = click.option("--because", metavar="TEXT", required=True, help="Reason, for the audit trail.")
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command(
    "discard", cls=Command, epilog="waybill dlq discard --group $GROUP --because 'the campaign is over'"
)
@selection_options
@_because
@_yes
@with_session
def discard(session: Session, /, *, ids: tuple[int, ...], because: str, yes: bool, **filters: Any) -> None:
    """Discards letters; for some time they can be restored, then they are deleted."""
    _close(session, "discard", selection(session, ids, filters), because, yes=yes)


@click.command(
    "archive", cls=Command, epilog="waybill dlq archive --service sync --until 30d --because 'kept for legal'"
)
@selection_options
@_because
@_yes
@with_session
def archive(session: Session, /, *, ids: tuple[int, ...], because: str, yes: bool, **filters: Any) -> None:
    """Archives letters: like discard, but kept for longer."""
    _close(session, "archive", selection(session, ids, filters), because, yes=yes)


@click.command("restore", cls=Command, epilog="waybill dlq restore 17 18\nwaybill dlq restore --group $GROUP")
@selection_options
@click.option("--because", metavar="TEXT", help="Reason, for the audit trail.")
@with_session
def restore(session: Session, /, *, ids: tuple[int, ...], because: str | None, **filters: Any) -> None:
    """Restores discarded or archived letters to dead, so that they can be redriven."""
    body = selection(session, ids, filters) | ({"reason": because} if because else {})
    answer = session.gateway.post("/v1/dead-letters/restore", body)
    session.out.result(answer, f"restored {answer['changed']}")


def _close(session: Session, what: str, chosen: dict[str, Any], because: str, *, yes: bool) -> None:
    path, body = f"/v1/dead-letters/{what}", chosen | {"reason": because}
    if not yes:
        there = session.gateway.post(path, body | {"dry_run": True})["changed"]
        if not there:
            session.out.result({"changed": 0}, f"{what}: no matching letter is dead and in no redrive")
            return
        session.confirm(f"{what.capitalize()} {there} letter(s): {described(chosen)}?", yes=yes)
    answer = session.gateway.post(path, body)
    until = f", restorable until {when(answer['restorable_until'])}" if answer["restorable_until"] else ""
    session.out.result(answer, f"{what}: {answer['changed']} letter(s){until}")
