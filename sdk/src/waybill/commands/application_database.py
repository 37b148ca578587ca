"""The database of an application, as the commands of its outbox are given it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from waybill.outbox import OutboxError
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
