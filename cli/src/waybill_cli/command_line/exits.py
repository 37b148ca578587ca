"""Exit codes of the command, and the errors that lead to them."""

from collections.abc import Sequence
from enum import IntEnum
from typing import IO, Any, Final

import click

from waybill_cli.output import make_printable


class Exit(IntEnum):
    """Exit codes, as documented in the help and the README."""

    OK = 0
    #: The answer is no: a task failed, a contract does not fit, a redrive halted, the question was declined.
    NO = 1
    #: click's own code for wrong command lines.
    USAGE = 2
    #: Gateway or broker cannot be reached, or cannot answer now.
    UNREACHABLE = 3
    #: The gateway refused the call: not found, a conflict, a wrong field, a wrong key.
    REFUSED = 4
    #: Ctrl-C, by the convention of shells.
    INTERRUPTED = 130


class CommandError(click.ClickException):
    """Ends the command with a message and hints on stderr."""

    def __init__(self, code: Exit, message: str, *hints: str) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc] # click reads it from the instance
        self.hints: Sequence[str] = hints

    def show(self, file: IO[Any] | None = None) -> None:
        """Writes message and hints to stderr, without control characters."""
        click.echo(click.style("waybill: ", fg="red") + make_printable(self.message), file=file, err=True)
        for hint in self.hints:
            click.echo("  " + make_printable(hint), file=file, err=True)


#: Packages that some commands need, and the extra that brings them.
_EXTRAS: Final = {
    "waybill": "service",
    "waybill_worker": "service",
    **dict.fromkeys(("jsonschema_rs", "prometheus_client", "psycopg", "sqlalchemy"), "outbox"),
    "waybill_ledger": "direct",
}


def not_installed(error: ModuleNotFoundError) -> CommandError | None:
    """What to install; None: the missing module is none that an extra brings."""
    missing = (error.name or "").partition(".")[0]
    if missing not in _EXTRAS:
        return None
    return CommandError(
        Exit.USAGE, f"this command needs the package {missing}", f"pip install 'waybill[{_EXTRAS[missing]}]'"
    )


class Unreachable(CommandError):  # noqa: N818 - `raise Unreachable(...)` reads well
    """Gateway or broker does not answer."""

    def __init__(self, message: str, *hints: str) -> None:
        super().__init__(Exit.UNREACHABLE, message, *hints)


class Refused(CommandError):  # noqa: N818 - `raise Refused(...)` reads well
    """The gateway refused the call."""

    def __init__(self, status: int, code: str, message: str, *hints: str) -> None:
        super().__init__(Exit.REFUSED, message, *hints)
        #: HTTP status, and the last part of the problem's type.
        self.status, self.code = status, code
