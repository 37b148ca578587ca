"""The database of an application, as the commands of its outbox are given it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from waybill.outbox import OutboxError
from waybill_cli.command_line import CommandError, Exit

if TYPE_CHECKING:
    from waybill.outbox.relay import Inspection

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
def opening() -> Iterator[None]:
    """Says what is missing or wrong where a database is opened.

    Raises:
        CommandError: a library is not installed, or the database cannot be used.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise CommandError(
            Exit.USAGE, f"this command needs {error.name}", "pip install 'waybill[outbox]'"
        ) from None
    except OutboxError as error:
        raise CommandError(Exit.USAGE, str(error)) from None


@contextmanager
def opened(database: str) -> Iterator["Inspection"]:
    """A look into the outbox in a database.

    Raises:
        CommandError: a library is not installed, or the database cannot be used.
    """
    with opening():
        from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - SQLAlchemy may not be installed

        from waybill.outbox.relay import open_inspection  # noqa: PLC0415 - as said

        try:
            with open_inspection(database) as inspection:
                yield inspection
        except DBAPIError as error:
            raise CommandError(
                Exit.UNREACHABLE, f"the database of the outbox cannot be used: {error.orig}"
            ) from None
