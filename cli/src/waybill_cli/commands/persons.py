"""`waybill persons`: what is held of one person."""

from collections.abc import Mapping
from typing import Any

import click

from waybill_cli.options import Group
from waybill_cli.session import Session, with_session

_tenant = click.option("--tenant", metavar="NAME", help="Only what this tenant has.  [default: everybody's]")


@click.group(cls=Group)
def persons() -> None:
    """What is held of one person. All of it needs a key with the scope admin."""


@persons.command("show", epilog="waybill persons show ann@example.com")
@click.argument("address")
@_tenant
@with_session
def show_person(session: Session, /, *, address: str, tenant: str | None) -> None:
    """Shows how much is held of a person, and nothing of what it says.

    Of records and images nobody knows whom they are about.
    """
    held = _held(session, address, tenant)
    if session.out.as_json:
        session.out.document(held)
    else:
        _show(session, held)


def _held(session: Session, address: str, tenant: str | None) -> dict[str, Any]:
    held: dict[str, Any] = session.gateway.post("/v1/persons/lookups", _named(address, tenant))
    return held


def _named(address: str, tenant: str | None) -> dict[str, Any]:
    return {"address": address} | ({} if tenant is None else {"tenant": tenant})


def _show(session: Session, held: Mapping[str, Any]) -> None:
    tasks = ", ".join(f"{number} {state}" for state, number in held["tasks"].items() if number)
    session.out.fields(
        (
            ("tasks", tasks or "none"),
            ("dead letters", held["letters"]),
            ("schedules", held["schedules"]),
            ("reset links", held["password_resets"]),
            ("idempotency keys", held["idempotency_keys"]),
            ("uploaded files", held["originals"]),
        )
    )
