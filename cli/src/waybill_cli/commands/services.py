"""`waybill services`: the services of the installation, registered and retired as a step of a deployment."""

from collections.abc import Mapping
from typing import Any, Final

import click

from waybill_cli.actions import await_declared, stated_manifest
from waybill_cli.command_line import Exit, Group
from waybill_cli.output import age, when
from waybill_cli.session import Session, list_options, show_listing, with_session

_COLUMNS: Final = ("NAME", "RELEASE", "STATE", "DECLARED", "UPDATED", "KINDS")
_WAIT_SECONDS: Final = 60
_WAITS: Final = "The broker does not have all bindings yet: --wait waits for them."


@click.group(cls=Group)
def services() -> None:
    """Services and the kinds that they handle; registering needs a key with the scope deploy."""


@services.command(
    "apply",
    epilog="waybill services apply invoices:service --dry-run\n"
    "waybill services apply invoices.json --wait\n"
    "waybill manifest invoices:service | waybill services apply -",
)
@click.argument("source", metavar="FILE|MODULE:SERVICE|-")
@click.option("--dry-run", is_flag=True, help="Only say what would change, or why it is refused.")
@click.option("--wait", "wait", is_flag=True, help="Wait until the broker has the bindings of all its kinds.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=_WAIT_SECONDS,
    show_default=True,
    help="Seconds that --wait waits at most; the exit code is then 1.",
)
@with_session
def apply_service(session: Session, /, *, source: str, dry_run: bool, wait: bool, timeout: float) -> Exit:
    """Registers a service, or a new release of it, before that is started.

    The manifest comes from a file, from stdin, or from a service object in a Python module. A registration
    that would break something is refused with each difference (exit code 4), and nothing is changed.
    Repeating it changes nothing.
    """
    manifest = stated_manifest(source)
    path = f"/v1/services/{manifest['service']}"
    done = session.gateway.put(path, manifest, dry_run=dry_run)
    if session.out.as_json:
        session.out.document(done)
    else:
        _show_done(session, done)
    if dry_run or done["declared"]:
        return Exit.OK
    if not wait:
        session.out.remark(_WAITS)
        return Exit.OK
    return await_declared(session, path, timeout)


@services.command("ls", epilog="waybill services ls")
@list_options
@with_session
def list_services(session: Session, /, *, limit: int, every: bool) -> None:
    """Lists services by name, retired ones included."""
    show_listing(session, "/v1/services", _COLUMNS, _row, limit=limit, every=every)


@services.command("show", epilog="waybill services show invoices\nwaybill services show invoices --json")
@click.argument("name")
@with_session
def show_service(session: Session, /, *, name: str) -> None:
    """Shows a service; with --json also its manifest."""
    found = session.gateway.get(f"/v1/services/{name}")
    if session.out.as_json:
        session.out.document(found)
        return
    session.out.fields(
        (
            ("name", found["name"]),
            ("release", found["release"]),
            ("state", _state(found)),
            ("declared", found["declared"]),
            ("registered", when(found["registered_at"])),
            ("updated", when(found["updated_at"])),
            ("emits", ", ".join(found["emits"]) or None),
            ("metrics", found["manifest"].get("metrics")),
        )
    )
    session.out.line("")
    session.out.table(
        ("KIND", "VERSION", "READS", "ATTEMPTS", "SOFT LIMIT", "HARD LIMIT", "AT ONCE"),
        map(_handled_row, found["manifest"]["handles"]),
    )


@services.command("retire", epilog="waybill services retire invoices --yes")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_session
def retire_service(session: Session, /, *, name: str, yes: bool) -> Exit:
    """Retires a service that has nothing left to do; tasks no longer go to it.

    While it has open tasks it is refused, and they are listed (exit code 4). If tasks were accepted for it
    at the last moment, the exit code is 1: let the service run until it has done them.
    """
    found = session.gateway.get(f"/v1/services/{name}")
    kinds = ", ".join(found["kinds"]) or "no kinds"
    if found["state"] != "retired":
        session.confirm(f"Retire {name} {found['release']}, which handles {kinds}?", yes=yes)
    done = session.gateway.delete(f"/v1/services/{name}")
    if session.out.as_json:
        session.out.document(done)
    else:
        _show_done(session, done)
    late = done["late"]
    if not late["tasks"]:
        return Exit.OK
    session.out.remark(
        f"{late['tasks']} tasks were accepted for it meanwhile: let it run until they are done."
    )
    for link in late["links"]:
        session.out.remark(f"  {link}")
    return Exit.NO


def _show_done(session: Session, done: Mapping[str, Any]) -> None:
    if done.get("dry_run"):
        session.out.remark("Nothing was changed. This would:")
    for line in done["changes"] or (f"{done['service']} {done['release']} is registered like this already",):
        session.out.line(line)
    for note in done["notes"]:
        session.out.line(f"note: {note}")


def _row(service: Mapping[str, Any]) -> tuple[Any, ...]:
    updated = f"{age(service['updated_at'])} ago"
    kinds = ", ".join(service["kinds"])
    return (service["name"], service["release"], _state(service), service["declared"], updated, kinds)


def _handled_row(handled: Mapping[str, Any]) -> tuple[Any, ...]:
    policy = handled.get("policy", {})
    limits = (policy.get(f"{which}_limit_seconds") for which in ("soft", "hard"))
    return (
        handled["kind"],
        handled.get("version", 1),
        ", ".join(map(str, sorted(handled["reads"]))),
        policy.get("attempts"),
        *(None if limit is None else f"{limit:g} s" for limit in limits),
        policy.get("concurrency"),
    )


def _state(service: Mapping[str, Any]) -> str:
    return str(service["state"]).replace("_", " ")
