"""`waybill prune`: deletes finished tasks by age."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

from waybill_cli.command_line import Command, CommandError, Exit
from waybill_cli.output import Moment
from waybill_cli.session import Session, with_session

_STATES: Final = ("completed", "failed", "cancelled")
#: Limits of the gateway.
_YOUNGEST: Final = timedelta(hours=1)
_YOUNGEST_FAILED: Final = timedelta(days=3)


@click.command(
    "prune",
    cls=Command,
    epilog="waybill prune --older-than 30d --dry-run\n"
    "waybill prune --older-than 90d --state failed\n"
    "waybill prune --older-than 7d --state completed --yes",
)
@click.option(
    "--older-than",
    type=Moment(),
    required=True,
    help="Tasks that ended before: 30d, 12w (ago), or ISO 8601; at least an hour, for failed ones 3 days.",
)
@click.option(
    "--state",
    "states",
    type=click.Choice(_STATES),
    multiple=True,
    help="Only tasks in this state; may be repeated [default: all three].",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_session
def prune(
    session: Session, /, *, older_than: datetime, states: tuple[str, ...], dry_run: bool, yes: bool
) -> None:
    """Deletes finished tasks with their timelines; the account still counts them.

    Tasks without an outcome stay, and so do those with a dead letter that is open, in a redrive, or can be
    restored. It works in small steps, and may be interrupted and repeated at any time.
    """
    if older_than > datetime.now(UTC) - _YOUNGEST:
        raise CommandError(
            Exit.USAGE, "--older-than: at least an hour; late reports of younger tasks may still arrive"
        )
    if "failed" in (states or _STATES) and older_than > datetime.now(UTC) - _YOUNGEST_FAILED:
        raise CommandError(
            Exit.USAGE,
            "--older-than: at least 3 days for failed tasks, whose dead letters may still be in transit; "
            "for younger tasks of other states add --state completed --state cancelled",
        )
    before = older_than.isoformat()
    plan = {state: _counted(session, state, before) for state in states or _STATES}
    total = sum(counts["tasks"] for counts in plan.values())
    if dry_run or not total:
        _report(session, plan, before, pruned=0)
        return
    if not session.out.as_json:
        _show(session, plan)
    session.confirm(f"Delete {total} task(s) that ended before {before}, for good?", yes=yes)
    pruned = 0
    with session.out.bar("pruning", total) as show_progress:
        for state in plan:
            for step in _steps(session, state, before, dry_run=False):
                pruned += step["tasks"]
                show_progress(pruned, state)
    _report(session, plan, before, pruned=pruned)


def _counted(session: Session, state: str, before: str) -> dict[str, int]:
    steps = list(_steps(session, state, before, dry_run=True))
    return {name: sum(step[name] for step in steps) for name in ("tasks", "kept")}


def _steps(session: Session, state: str, before: str, *, dry_run: bool) -> Iterator[dict[str, Any]]:
    after: str | None = None
    while True:
        body = {"state": state, "ended_before": before, "dry_run": dry_run}
        step = session.gateway.post("/v1/prunings", body | ({"after": after} if after else {}))
        yield step
        after = step["after"]
        if after is None:
            return


def _show(session: Session, plan: dict[str, dict[str, int]]) -> None:
    session.out.table(
        ("STATE", "TO DELETE", "OLD BUT KEPT"),
        ((state, counts["tasks"], counts["kept"]) for state, counts in plan.items()),
    )


def _report(session: Session, plan: dict[str, dict[str, int]], before: str, *, pruned: int) -> None:
    if session.out.as_json:
        session.out.document({"ended_before": before, "plan": plan, "pruned": pruned})
        return
    if pruned:
        session.out.line(f"deleted {pruned} task(s)")
        return
    _show(session, plan)
    session.out.line("nothing was deleted")
