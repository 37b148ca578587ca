"""`waybill persons`: lookup and erasure of the data of one person."""

from collections.abc import Mapping
from typing import Any

import click

from waybill_cli.actions import report_erasure, run_person_erasure
from waybill_cli.command_line import Exit, Group
from waybill_cli.session import Session, with_session

_tenant = click.option("--tenant", metavar="NAME", help="Only data of this tenant.  [default: all tenants]")


@click.group(cls=Group)
def persons() -> None:
    """Looks up and erases the data of one person. Needs a key with the scope admin."""


@persons.command("show", epilog="waybill persons show ann@example.com")
@click.argument("address")
@_tenant
@with_session
def show_person(session: Session, /, *, address: str, tenant: str | None) -> None:
    """Shows how much data is held of a person, but not the data.

    A kind whose contract marks no person, such as records and images, is not counted: `waybill tasks erase`
    erases the tasks that you name.
    """
    held = _held(session, address, tenant)
    if session.out.as_json:
        session.out.document(held)
    else:
        _show(session, held)


@persons.command(
    "erase",
    epilog="waybill persons erase ann@example.com --dry-run\n"
    "waybill persons erase ann@example.com --cancel\n"
    "waybill persons erase ann@example.com --tenant acme --yes",
)
@click.argument("address")
@_tenant
@click.option("--cancel", "cancel_open", is_flag=True, help="Also cancel the tasks without an outcome.")
@click.option("--dry-run", is_flag=True, help="Only show how much is held.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_session
def erase_person(
    session: Session, /, *, address: str, tenant: str | None, cancel_open: bool, dry_run: bool, yes: bool
) -> Exit:
    """Erases the data of a person, for good; the account of tasks does not change.

    Schedules and reset links are deleted. Finished tasks keep only their ids, kinds, states and times. Tasks
    without an outcome are not erased: the exit code is then 1, and you run the command again after they have
    ended. It works in small steps, and may be interrupted and repeated at any time.
    """
    held = _held(session, address, tenant)
    if not session.out.as_json:
        _show(session, held)
    if dry_run or not any((*held["tasks"].values(), held["schedules"])):
        session.out.result({"held": held}, "nothing was erased")
        return Exit.OK
    session.confirm("Erase it for good?", yes=yes)
    wanted = _named(address, tenant) | {"cancel_open": cancel_open}
    erasure = run_person_erasure(session, wanted, sum(held["tasks"].values()))
    return report_erasure(session, erasure, cancelled=cancel_open)


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
