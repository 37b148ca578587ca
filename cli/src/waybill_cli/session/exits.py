"""What the command ends with: exit codes that a script can act on, and the errors that lead to them."""

from collections.abc import Sequence
from enum import IntEnum
from typing import IO, Any

import click

from waybill_cli.output.printable import printable


class Exit(IntEnum):
    """The exit codes, as the help and the README tell them."""

    OK = 0
    #: The answer is no: a task failed, a contract does not fit, a redrive halted, the question was declined.
    NO = 1
    #: click's own, for command lines that it cannot read.
    USAGE = 2
    #: Gateway or broker cannot be reached, or cannot answer now.
    UNREACHABLE = 3
    #: The gateway understood and declined: no such thing, a conflict, a wrong field, a wrong key.
    REFUSED = 4
    #: Ctrl-C, as shells count it.
    INTERRUPTED = 130


class CommandError(click.ClickException):
    """Ends the command with a message on stderr, and hints what to do."""

    def __init__(self, code: Exit, message: str, *hints: str) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc] # click reads it from the instance
        self.hints: Sequence[str] = hints

    def show(self, file: IO[Any] | None = None) -> None:
        """Writes it to stderr; what comes from outside is shown without its control characters."""
        click.echo(click.style("waybill: ", fg="red") + printable(self.message), file=file, err=True)
        for hint in self.hints:
            click.echo("  " + printable(hint), file=file, err=True)


class Unreachable(CommandError):  # noqa: N818 - reads as what it says in `raise Unreachable(...)`
    """Somebody who is needed does not answer."""

    def __init__(self, message: str, *hints: str) -> None:
        super().__init__(Exit.UNREACHABLE, message, *hints)


class Refused(CommandError):  # noqa: N818 - as above
    """The gateway declined."""

    def __init__(self, status: int, code: str, message: str, *hints: str) -> None:
        super().__init__(Exit.REFUSED, message, *hints)
        #: HTTP status, and the last part of the problem's type.
        self.status, self.code = status, code
