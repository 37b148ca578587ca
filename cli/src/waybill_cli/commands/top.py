"""`waybill top`: the overview, live in a terminal."""

import time
from typing import Final

import click

from waybill_cli.command_line import Command, Exit, Unreachable
from waybill_cli.output import show_stats
from waybill_cli.session import Session, with_session

#: Seconds between two looks; the gateway's numbers are not younger.
EVERY_SECONDS: Final = 3.0


@click.command(
    "top",
    cls=Command,
    epilog="waybill top\nwaybill top --within 1d --once\nwaybill top --json | jq '.findings[].title'",
)
@click.option(
    "--within",
    type=click.Choice(["1h", "1d", "7d", "30d", "90d"]),
    default="1h",
    show_default=True,
    help="Length of the time whose tasks are counted.",
)
@click.option("--kind", help="Count only tasks of this kind.")
@click.option("--once", is_flag=True, help="Print once and end, as without a terminal.")
@click.option(
    "--every",
    type=click.FloatRange(min=1, max=3600),
    default=EVERY_SECONDS,
    show_default=True,
    help="Seconds between two looks.",
)
@with_session
def top(session: Session, /, *, within: str, kind: str | None, once: bool, every: float) -> Exit:
    """Shows what needs a person, rates, times and open work, until Ctrl-C."""
    has_shown = False
    while True:
        try:
            stats = session.gateway.get("/v1/stats", within=within, kind=kind)
        except Unreachable as away:
            # What was shown stays until the gateway is back.
            if not has_shown:
                raise
            session.out.remark(away.message)
        else:
            if session.out.as_json:
                session.out.document(stats)
            else:
                if session.out.is_terminal and not once:
                    click.clear()
                show_stats(session.out, stats, within)
            has_shown = True
        if once or not session.out.is_terminal:
            return Exit.OK
        time.sleep(every)
