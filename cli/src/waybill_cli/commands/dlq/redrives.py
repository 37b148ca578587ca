"""`waybill dlq plan|start|…`: redrives, from plan to end."""

from pathlib import Path
from typing import Any, Final

import click

from waybill_cli.actions import ended_well, follow_redrive, make_redrive_plan
from waybill_cli.command_line import Command, CommandError, Exit
from waybill_cli.commands.dlq.options import VERDICTS, edit_options, patch_of, selection, selection_options
from waybill_cli.output import (
    ITEM_COLUMNS,
    REDRIVE_COLUMNS,
    SHOWN_HASH,
    item_row,
    redrive_row,
    show_plan,
    show_redrive,
)
from waybill_cli.session import Session, list_options, show_listing, with_session

_REDRIVES: Final = "/v1/redrives"
_STATES: Final = ("planned", "running", "paused", "halted", "completed", "cancelled")
#: States in which the gateway refuses a cancellation, with its reason.
_ENDED: Final = frozenset({"completed", "cancelled"})
_ITEM_STATES: Final = ("waiting", "sent", "succeeded", "failed", "cancelled", "skipped")
_EFFECTS: Final = ("not_done", "unknown", "done", "cancelled", "under_way", "no_task", "erased")

_redrive = click.argument("redrive", type=click.IntRange(min=1))
_because = click.option("--because", metavar="TEXT", help="Reason, for the audit trail.")


@click.command(
    "plan",
    cls=Command,
    epilog="waybill dlq plan --group $GROUP --note 'crm is back'\n"
    "waybill dlq plan 17 18 --set /data/city=London\n"
    "waybill dlq plan --service sync --reason exhausted --rate 100 --canary 20",
)
@selection_options
@edit_options
@click.option("--rate", type=click.FloatRange(0.1, 2000), help="Letters a second.  [default: 10]")
@click.option(
    "--canary",
    type=click.IntRange(0, 1000),
    help="Letters sent first, whose outcomes are awaited.  [default: 5]",
)
@click.option("--note", metavar="TEXT", help="Note, kept with the plan.")
@with_session
def make_plan(
    session: Session,
    /,
    *,
    ids: tuple[int, ...],
    patch_file: Path | None,
    assigned: tuple[str, ...],
    removed: tuple[str, ...],
    rate: float | None,
    canary: int | None,
    note: str | None,
    **filters: Any,
) -> None:
    """Plans a redrive: freezes its letters and edits, and shows what it would do. Nothing is sent.

    `waybill dlq start` sends exactly what is shown. An edit applies to all letters of the plan.
    """
    patch = patch_of(patch_file, assigned, removed)
    wishes = {"rate": rate, "canary": canary, "note": note}
    make_redrive_plan(session, selection(session, ids, filters), patch, **wishes)


@click.command(
    "start", cls=Command, epilog="waybill dlq start 3\nwaybill dlq start 3 --hash $HASH --yes --no-wait"
)
@_redrive
@click.option(
    "--hash",
    "hash_",
    metavar="HASH",
    help=f"Hash of the plan as you saw it, at least {SHOWN_HASH} digits; without it the plan is shown again.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--wait/--no-wait", default=True, help="Whether to follow it to its end.  [default: --wait]")
@with_session
def start(session: Session, /, *, redrive: int, hash_: str | None, yes: bool, wait: bool) -> Exit:
    """Starts a plan, and follows it; exits with 0 if every letter that was sent was completed, 1 if not.

    Ctrl-C ends the watch, not the redrive; for that use `waybill dlq pause` or `cancel`.
    """
    planned = session.gateway.get(f"{_REDRIVES}/{redrive}")
    seen = _seen(planned, hash_)
    # A redrive that cannot be started is refused by the gateway, with its reason: do not ask then.
    if planned["state"] == "planned" and seen == planned["hash"]:
        if hash_ is None and not yes:
            show_plan(session.out, planned)
        session.confirm(f"Start redrive {redrive}?", yes=yes)
    started = session.gateway.post(f"{_REDRIVES}/{redrive}/start", {"hash": seen})
    if not wait:
        session.out.result(started, f"started  {redrive}")
        return Exit.OK
    return follow_redrive(session, redrive)


@click.command("progress", cls=Command, epilog="waybill dlq progress 3\nwaybill dlq progress 3 --follow")
@_redrive
@click.option("--follow", is_flag=True, help="Follow it until it ends.")
@with_session
def progress(session: Session, /, *, redrive: int, follow: bool) -> Exit:
    """Shows the progress of a redrive; exits with 1 if it halted, was cancelled, or has failed letters."""
    if follow:
        return follow_redrive(session, redrive)
    found = session.gateway.get(f"{_REDRIVES}/{redrive}")
    if session.out.as_json:
        session.out.document(found)
    elif found["state"] == "planned":
        show_plan(session.out, found)
    else:
        show_redrive(session.out, found)
    return ended_well(found)


@click.command("redrives", cls=Command, epilog="waybill dlq redrives --state running")
@click.option("--state", type=click.Choice(_STATES), help="Only those in this state.")
@list_options
@with_session
def redrives(session: Session, /, *, limit: int, every: bool, **filters: Any) -> None:
    """Lists redrives, the latest plan first."""
    show_listing(session, _REDRIVES, REDRIVE_COLUMNS, redrive_row, limit=limit, every=every, **filters)


@click.command("outcomes", cls=Command, epilog="waybill dlq outcomes 3 --state failed")
@_redrive
@click.option("--state", type=click.Choice(_ITEM_STATES), help="Only those in this state.")
@click.option(
    "--verdict", type=click.Choice(VERDICTS), help="Only letters with this verdict of the contracts."
)
@click.option(
    "--effect", type=click.Choice(_EFFECTS), help="Only letters with this effect of earlier attempts."
)
@list_options
@with_session
def outcomes(session: Session, /, *, redrive: int, limit: int, every: bool, **filters: Any) -> None:
    """Lists the letters of a redrive in sending order, with their outcomes."""
    path = f"{_REDRIVES}/{redrive}/letters"
    show_listing(session, path, ITEM_COLUMNS, item_row, limit=limit, every=every, **filters)


@click.command("pause", cls=Command, epilog="waybill dlq pause 3 --because 'crm is slow'")
@_redrive
@_because
@with_session
def pause(session: Session, /, *, redrive: int, because: str | None) -> None:
    """Pauses a running redrive; letters that were sent go on."""
    _steer(session, redrive, "pause", because)


@click.command("resume", cls=Command, epilog="waybill dlq resume 3")
@_redrive
@_because
@with_session
def resume(session: Session, /, *, redrive: int, because: str | None) -> None:
    """Resumes a paused or halted redrive; after a halt it begins with a canary again."""
    _steer(session, redrive, "resume", because)


@click.command("cancel", cls=Command, epilog="waybill dlq cancel 3 --because 'the plan was wrong' --yes")
@_redrive
@_because
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_session
def cancel(session: Session, /, *, redrive: int, because: str | None, yes: bool) -> None:
    """Cancels a redrive; its unsent letters are free for another plan."""
    if not yes and session.gateway.get(f"{_REDRIVES}/{redrive}")["state"] not in _ENDED:
        session.confirm(f"Cancel redrive {redrive}? It cannot be resumed.", yes=yes)
    _steer(session, redrive, "cancel", because)


def _steer(session: Session, redrive: int, action: str, because: str | None) -> None:
    body = {"reason": because} if because else {}
    answer = session.gateway.post(f"{_REDRIVES}/{redrive}/{action}", body)
    session.out.result(answer, f"{answer['state']}  {redrive}")


def _seen(planned: dict[str, Any], hash_: str | None) -> str:
    """The hash to confirm: the plan's, if it has the given beginning."""
    whole = str(planned["hash"])
    if hash_ is None or (len(hash_) >= SHOWN_HASH and whole.startswith(hash_.lower())):
        return whole
    if len(hash_) < len(whole):
        raise CommandError(
            Exit.REFUSED,
            f"--hash is not that of redrive {planned['id']} as it is now: nothing was started",
            f"Show it: waybill dlq progress {planned['id']}",
        )
    return hash_
