"""The database of an application, as the commands of its outbox are given it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click
from sqlalchemy.exc import DBAPIError

from waybill.outbox import OutboxError
from waybill.outbox.relay import Inspection, open_inspection
from waybill_cli.command_line import CommandError, Exit

VARIABLE: Final = "WAYBILL_OUTBOX_DATABASE"

#: The option of all commands of the outbox.
database_option = click.option(
    "--database",
    metavar="URL",
    required=True,
    envvar=VARIABLE,
    help=f"The application's database, such as postgresql://USER@HOST/NAME or sqlite:///FILE; other users of "
    f"this machine can see it here, so prefer [env: {VARIABLE}].",
)


@contextmanager
def database_errors() -> Iterator[None]:
    """Says what is wrong with a database.

    Raises:
        CommandError: it cannot be used.
    """
    try:
        yield
    except OutboxError as error:
        raise CommandError(Exit.USAGE, str(error)) from None
    except DBAPIError as error:
        raise CommandError(
            Exit.UNREACHABLE, f"the database of the outbox cannot be used: {error.orig}"
        ) from None


@contextmanager
def opened(database: str) -> Iterator[Inspection]:
    """A look into the outbox in a database.

    Raises:
        CommandError: the database cannot be used.
    """
    with database_errors(), open_inspection(database) as inspection:
        yield inspection
