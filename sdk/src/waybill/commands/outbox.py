"""`waybill outbox`: the rows of an application outbox that wait or were refused."""

from typing import TYPE_CHECKING

import click

from waybill.commands.application_database import opening
from waybill_cli.command_line import Group

if TYPE_CHECKING:
    from waybill.outbox.schema import DialectName


@click.group(cls=Group)
def outbox() -> None:
    """The application outbox: rows that wait for a relay, or were refused by the gateway."""


@outbox.command("schema", epilog="waybill outbox schema --dialect postgresql | psql shop")
@click.option(
    "--dialect", type=click.Choice(["postgresql", "sqlite"]), default="postgresql", show_default=True
)
def schema(dialect: "DialectName") -> None:
    """Prints the SQL that creates the table, for applications with migrations in plain SQL."""
    with opening():
        from waybill.outbox import schema_sql  # noqa: PLC0415 - SQLAlchemy may not be installed

        click.echo(schema_sql(dialect), nl=False)
