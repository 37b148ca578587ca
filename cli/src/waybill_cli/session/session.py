"""State of one run: configuration, client of the gateway, output."""

import sys
from collections.abc import Callable
from functools import cached_property, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from waybill_cli.command_line import CommandError, Exit, Given
from waybill_cli.output import Output
from waybill_cli.session.config import process_config
from waybill_cli.session.gateway import Gateway

P = ParamSpec("P")
R = TypeVar("R")


class Session:
    """State of one run; clients are created on first use."""

    def __init__(self, given: Given) -> None:
        self.config = process_config(given.settings)
        self.out = Output(as_json=given.as_json)

    @cached_property
    def gateway(self) -> Gateway:
        """Client of the configured gateway."""
        return Gateway(self.config.url(), api_key=self.config.api_key(), actor=self.config.actor())

    def confirm(self, question: str, *, yes: bool) -> None:
        """Asks before an action that cannot be undone.

        Args:
            question: says what will happen.
            yes: `--yes` was given: do not ask.

        Raises:
            CommandError: the answer is no, or stdin is no terminal.
        """
        if yes:
            return
        if not sys.stdin.isatty():
            raise CommandError(
                Exit.USAGE, f"{question} Cannot ask, because stdin is no terminal: add --yes to confirm."
            )
        if not click.confirm(question, err=True):
            raise CommandError(Exit.NO, "nothing was changed")

    def close(self) -> None:
        """Closes open connections."""
        if "gateway" in self.__dict__:
            self.gateway.close()


def with_session(command: Callable[Concatenate[Session, P], R]) -> Callable[P, R]:
    """Gives a command its session as the first argument."""

    @click.pass_context
    @wraps(command)
    def run(context: click.Context, *args: Any, **options: Any) -> R:
        session = Session(context.ensure_object(Given))
        context.call_on_close(session.close)
        return context.invoke(command, session, *args, **options)

    return run
