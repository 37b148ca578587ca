"""Which services there are, for commands at the broker, which cannot list its queues."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from waybill_cli.command_line import CommandError
from waybill_cli.session.session import Session

_F = TypeVar("_F", bound=Callable[..., Any])


def service_option(command: _F) -> _F:
    """Adds `--service` (as `services`)."""
    return click.option(
        "--service",
        "services",
        metavar="NAME",
        multiple=True,
        help="Only this service; may be repeated. Without it the gateway is asked which services there are: "
        "name them here when it is down.",
    )(command)


def services_of(session: Session, named: tuple[str, ...]) -> tuple[str, ...]:
    """The named services, else all registered ones.

    Raises:
        CommandError: none is named, and the gateway does not say which there are.
    """
    if named:
        return named
    try:
        return tuple(each["name"] for each in session.gateway.items("/v1/services", most=None))
    except CommandError as error:
        raise CommandError(
            error.exit_code,  # type: ignore[arg-type] # an Exit, where it is an error of ours
            f"which services are there? {error.message}",
            *error.hints,
            "Without the gateway, name them: --service NAME, for each.",
        ) from error
