"""`waybill outbox`: the rows of an application outbox that wait or were refused."""

import re
from dataclasses import asdict
from typing import Any, Final

import click

from waybill.commands.application_database import database_option, opened
from waybill.outbox import schema_sql
from waybill.outbox.relay import ListedRow
from waybill.outbox.rows import DialectName
from waybill_cli.command_line import CommandError, Exit, Group
from waybill_cli.output import age
from waybill_cli.session import Session, list_options, with_session

_BEGINNING: Final = re.compile(r"[0-9a-f-]{8,36}")
_COLUMNS: Final = ("ID", "KIND", "STATE", "AGE", "ATTEMPTS", "ORDER KEY", "ERROR")


@click.group(cls=Group)
def outbox() -> None:
    """The application outbox: rows that wait for a relay, or were refused by the gateway."""


@outbox.command("schema", epilog="waybill outbox schema --dialect postgresql | psql shop")
@click.option(
    "--dialect", type=click.Choice(["postgresql", "sqlite"]), default="postgresql", show_default=True
)
def schema(dialect: DialectName) -> None:
    """Prints the SQL that creates the table."""
    click.echo(schema_sql(dialect), nl=False)


@outbox.command("grants", epilog="waybill outbox grants --schema waybill --user shop | psql shop")
@click.option("--schema", default="waybill", show_default=True, help="Has the ledger's tables.")
@click.option("--user", required=True, help="The application's user of the database.")
def grants(schema: str, user: str) -> None:
    """Prints the rights that accepting tasks directly needs.

    For applications in the ledger's own PostgreSQL, which need no relay (waybill.outbox.direct).
    """
    from waybill.outbox.direct import grants_sql  # noqa: PLC0415 - the ledger may not be installed

    try:
        click.echo(grants_sql(schema, user), nl=False)
    except ValueError as error:
        raise CommandError(Exit.USAGE, str(error)) from None


@outbox.command("ls", epilog="waybill outbox ls\nwaybill outbox ls --refused || alert")
@database_option
@list_options
@click.option("--refused", is_flag=True, help="Only refused rows; ends with 1 if there are any.")
@with_session
def list_rows(session: Session, /, *, database: str, limit: int, every: bool, refused: bool) -> Exit:
    """Lists rows, the oldest first, without their data."""
    with opened(database) as inspection:
        rows = inspection.rows(most=None if every else limit + 1, refused=refused)
    shown = rows if every else rows[:limit]
    if session.out.as_json:
        for row in shown:
            session.out.document(asdict(row) | {"created_at": row.created_at.isoformat()})
    else:
        session.out.table(_COLUMNS, map(_cells, shown))
    if len(shown) < len(rows):
        session.out.remark(f"These are the first {limit}; --all shows all, --limit N shows N.")
    return Exit.NO if refused and rows else Exit.OK


@outbox.command("retry", epilog="waybill outbox retry 01a22e07-b4d3\nwaybill outbox retry --all")
@database_option
@click.argument("ids", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All refused rows.")
@with_session
def retry(session: Session, /, *, database: str, ids: tuple[str, ...], every: bool) -> None:
    """Has refused rows posted again; IDS are ids, or their beginnings."""
    wanted = _wanted(ids, every=every)
    with opened(database) as inspection:
        number = inspection.retry(wanted)
    _report(session, number, "waiting again")


@outbox.command("drop", epilog="waybill outbox drop 01a22e07-b4d3 --yes")
@database_option
@click.argument("ids", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All refused rows.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_session
def drop(session: Session, /, *, database: str, ids: tuple[str, ...], every: bool, yes: bool) -> None:
    """Deletes refused rows for good; IDS are ids, or their beginnings."""
    wanted = _wanted(ids, every=every)
    session.confirm("Their tasks will never exist. Delete the rows?", yes=yes)
    with opened(database) as inspection:
        number = inspection.drop(wanted)
    _report(session, number, "deleted")


def _wanted(ids: tuple[str, ...], *, every: bool) -> tuple[str, ...] | None:
    if every == bool(ids):
        raise CommandError(Exit.USAGE, "name rows by their ids, or all refused ones by --all")
    for id_ in ids:
        # An empty one, of a variable that is not set, would be the beginning of all.
        if not _BEGINNING.fullmatch(id_):
            raise CommandError(Exit.USAGE, f"{id_!r} is no id, nor the first 8 or more characters of one")
    return None if every else ids


def _report(session: Session, number: int, what: str) -> None:
    session.out.result({"rows": number}, f"{number} rows are {what}")
    if not number:
        raise CommandError(Exit.NO, "there is no such refused row", "waybill outbox ls --refused lists them.")


def _cells(row: ListedRow) -> tuple[Any, ...]:
    made = age(row.created_at.isoformat())
    return (row.id, row.kind, row.state, made, row.attempts, row.order_key, row.error)
