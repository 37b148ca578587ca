"""`waybill kinds`: the kinds of tasks that the installation knows."""

import json
from collections.abc import Mapping
from typing import Any, Final

import click

from waybill_cli.command_line import CommandError, Exit, Group
from waybill_cli.session import Session, list_options, show_listing, with_session

_COLUMNS: Final = ("KIND", "VERSION", "STATE", "OWNER", "SERVICES")


@click.group(cls=Group)
def kinds() -> None:
    """Kinds of tasks: their contracts, and who handles them."""


@kinds.command("ls", epilog="waybill kinds ls\nwaybill kinds ls --service invoices")
@list_options
@click.option("--service", help="Only kinds that this service handles.")
@with_session
def list_kinds(session: Session, /, *, limit: int, every: bool, service: str | None) -> None:
    """Lists kinds by name, retired ones included."""
    show_listing(session, "/v1/kinds", _COLUMNS, _row, limit=limit, every=every, service=service)


@kinds.command(
    "show", epilog="waybill kinds show invoice.requested\nwaybill kinds show invoice.requested --version 1"
)
@click.argument("kind")
@click.option("--version", type=click.IntRange(min=1), help="Version of the contract.  [default: the newest]")
@with_session
def show_kind(session: Session, /, *, kind: str, version: int | None) -> None:
    """Shows a kind: who handles it, and the JSON Schema of its data."""
    found = session.gateway.get(f"/v1/kinds/{kind}")
    wanted = found["version"] if version is None else version
    contract = next((each for each in found["contracts"] if each["version"] == wanted), None)
    if contract is None:
        known = ", ".join(map(str, found["versions"]))
        raise CommandError(Exit.REFUSED, f"{kind} has no version {wanted}", f"It has: {known}.")
    if session.out.as_json:
        session.out.document(found if version is None else contract)
        return
    session.out.fields(
        (
            ("kind", found["name"]),
            ("version", wanted),
            ("versions", ", ".join(map(str, found["versions"]))),
            ("owner", found["owner"]),
            ("state", _state(found)),
            *((mark, ", ".join(names)) for mark, names in contract["marks"].items()),
        )
    )
    session.out.line("")
    session.out.table(
        ("SERVICE", "RELEASE", "READS"),
        (
            (each["service"], each["release"], ", ".join(map(str, each["reads"])))
            for each in found["handlers"]
        ),
    )
    session.out.line("")
    session.out.line("data")
    session.out.block(json.dumps(contract["data"], indent=2, ensure_ascii=False))


def _row(kind: Mapping[str, Any]) -> tuple[Any, ...]:
    return (kind["name"], kind["version"], _state(kind), kind["owner"], ", ".join(kind["services"]))


def _state(kind: Mapping[str, Any]) -> str:
    if kind["retired"]:
        return "retired"
    return "in use" if kind["declared"] else "being declared"
