"""`waybill accounting`: the account of every accepted task."""

from datetime import datetime
from typing import Any, Final

import click

from waybill_cli.command_line import Command, Exit
from waybill_cli.output import Moment, age
from waybill_cli.session import Session, with_session
from waybill_contracts.states import State

_STATES: Final = tuple(state.value for state in State)
#: Tasks that are listed: there must be none, so a longer list is a case for the API.
_SHOWN: Final = 50


@click.command(
    "accounting",
    cls=Command,
    epilog="waybill accounting --since 24h\n"
    "waybill accounting --json | jq .total\n"
    "waybill accounting > /dev/null || echo 'a task cannot be placed'",
)
@click.option("--since", type=Moment(), help="Accepted at or after: 30m, 2h, 7d (ago), or ISO 8601.")
@click.option("--until", type=Moment(), help="Accepted before.")
@with_session
def accounting(session: Session, /, *, since: datetime | None, until: datetime | None) -> Exit:
    """Counts accepted tasks by state, and lists those without a known place.

    Exits with 0 if the account balances, 1 if not.
    """
    account = session.gateway.get("/v1/accounting", since=since, until=until, limit=_SHOWN)
    if session.out.as_json:
        session.out.document(account)
    else:
        _show(session, account)
    return Exit.OK if account["balanced"] else Exit.NO


def _show(session: Session, account: dict[str, Any]) -> None:
    counted = [*account["kinds"].items(), ("total", account["total"])]
    session.out.table(
        ("KIND", "ACCEPTED", *map(str.upper, _STATES), "PRUNED"),
        (
            (kind, counts["accepted"], *(counts[state] for state in _STATES), counts["pruned"])
            for kind, counts in counted
        ),
    )
    unplaced = account["unplaced"]
    if unplaced["count"]:
        session.out.line("")
        session.out.table(
            ("CANNOT BE PLACED", "KIND", "STATE", "AGE", "BECAUSE"),
            (
                (task["id"], task["kind"], task["state"], age(task["created_at"]), "; ".join(task["reasons"]))
                for task in unplaced["items"]
            ),
        )
    session.out.line("")
    session.out.line(
        "balanced" if account["balanced"] else f"not balanced: {unplaced['count']} cannot be placed"
    )
