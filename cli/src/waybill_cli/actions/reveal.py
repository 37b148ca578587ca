"""Seeing what is sealed: the options for it, and the call."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from waybill_cli.session.exits import CommandError, Exit
from waybill_cli.session.session import Session

F = TypeVar("F", bound=Callable[..., Any])


def reveal_options(command: F) -> F:
    """Adds `--reveal` and `--reason`."""
    command = click.option(
        "--reason", metavar="TEXT", help="Why you have to see it; it goes into the audit trail."
    )(command)
    return click.option(
        "--reveal",
        is_flag=True,
        help="Show what is sealed; it needs --reason, and a key with the scope reveal.",
    )(command)


def reason_of(*, reveal: bool, reason: str | None) -> str | None:
    """Why what is sealed is to be shown; None: it is not.

    Raises:
        CommandError: one of the two options is there without the other.
    """
    if reveal and not (reason or "").strip():
        raise CommandError(
            Exit.USAGE,
            "say why you have to see it: --reveal --reason 'ticket 7'",
            "It goes into the audit trail.",
        )
    if reason is not None and not reveal:
        raise CommandError(Exit.USAGE, "--reason belongs to --reveal")
    return reason if reveal else None


def revealed(session: Session, path: str, reason: str, **more: Any) -> dict[str, Any]:
    """What the thing at `path` holds, unmasked."""
    answer: dict[str, Any] = session.gateway.post(f"{path}/reveal", {"reason": reason} | more)
    return answer
