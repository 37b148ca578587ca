"""Revealing sealed fields: the options for it, and the call."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from waybill_cli.command_line import CommandError, Exit
from waybill_cli.session import Session

_F = TypeVar("_F", bound=Callable[..., Any])


def reveal_options(command: _F) -> _F:
    """Adds `--reveal` and `--reason`."""
    command = click.option(
        "--reason", metavar="TEXT", help="Why you need to see it; recorded in the audit trail."
    )(command)
    return click.option(
        "--reveal",
        is_flag=True,
        help="Show sealed fields in clear; needs --reason and a key with the scope reveal.",
    )(command)


def reason_of(*, reveal: bool, reason: str | None) -> str | None:
    """The reason for a reveal; None: nothing is revealed.

    Raises:
        CommandError: one of the two options is given without the other.
    """
    if reveal and not (reason or "").strip():
        raise CommandError(
            Exit.USAGE,
            "say why you need to see it: --reveal --reason 'ticket 7'",
            "The reason is recorded in the audit trail.",
        )
    if reason is not None and not reveal:
        raise CommandError(Exit.USAGE, "--reason belongs to --reveal")
    return reason if reveal else None


def revealed(session: Session, path: str, reason: str, **more: Any) -> dict[str, Any]:
    """The contents of the resource at `path`, unmasked."""
    answer: dict[str, Any] = session.gateway.post(f"{path}/reveal", {"reason": reason} | more)
    return answer
