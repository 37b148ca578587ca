"""`waybill keys`: API keys."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

from waybill_cli.command_line import Group
from waybill_cli.output import age, when
from waybill_cli.session import Session, find_key_id, list_options, show_listing, with_session

_COLUMNS: Final = ("ID", "NAME", "TENANT", "SCOPES", "STATE", "LAST USED")
_ONCE: Final = "The token is shown only once: store it as a secret."


@click.group(cls=Group)
def keys() -> None:
    """Manages API keys. Needs a key with the scope admin."""


@keys.command("ls", epilog="waybill keys ls --all")
@list_options
@click.option("--tenant", help="Only keys of this tenant.")
@with_session
def list_keys(session: Session, /, *, limit: int, every: bool, tenant: str | None) -> None:
    """Lists keys, including revoked and expired ones."""
    show_listing(session, "/v1/keys", _COLUMNS, _row, limit=limit, every=every, tenant=tenant)


@keys.command("show", epilog="waybill keys show 5f0c8a1be2d94c77")
@click.argument("key_id", metavar="ID")
@with_session
def show_key(session: Session, /, *, key_id: str) -> None:
    """Shows a key, without its secret."""
    _show(session, session.gateway.get(f"/v1/keys/{find_key_id(session, key_id)}"))


@keys.command("create", epilog="waybill keys create --name shop --scope submit --expires-in-days 365")
@click.option("--name", required=True, help="Name of its user, for people.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    help="submit, read, operate, reveal, deploy, metrics or admin; may be repeated.",
)
@click.option(
    "--tenant", default="default", show_default=True, help="Tenant of the tasks that it submits and sees."
)
@click.option(
    "--expires-in-days", type=click.IntRange(min=1), help="Days until it expires.  [default: never]"
)
@click.option("--rate", type=float, help="Requests a second, for each gateway process.")
@click.option("--burst", type=int, help="Requests in a burst.")
@click.option("--max-body-bytes", type=int, help="Largest request body, in bytes.")
@with_session
def create_key(
    session: Session,
    /,
    *,
    scopes: tuple[str, ...],
    expires_in_days: int | None,
    **wanted: Any,
) -> None:
    """Creates a key and shows its token, once."""
    body = {name: value for name, value in wanted.items() if value is not None} | {"scopes": list(scopes)}
    if expires_in_days is not None:
        body["expires_at"] = (datetime.now(UTC) + timedelta(days=expires_in_days)).isoformat()
    _show(session, session.gateway.post("/v1/keys", body))


@keys.command("rotate", epilog="waybill keys rotate 5f0c8a1be2d94c77 --overlap-hours 2")
@click.argument("key_id", metavar="ID")
@click.option(
    "--overlap-hours",
    type=click.FloatRange(min=0),
    default=24,
    show_default=True,
    help="How long the old secret stays valid.",
)
@with_session
def rotate_key(session: Session, /, *, key_id: str, overlap_hours: float) -> None:
    """Gives a key a new secret and shows its token, once."""
    body = {"overlap_seconds": overlap_hours * 3600}
    _show(session, session.gateway.post(f"/v1/keys/{find_key_id(session, key_id)}/rotate", body))


@keys.command("revoke", epilog="waybill keys revoke 5f0c8a1be2d94c77 --yes")
@click.argument("key_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_session
def revoke_key(session: Session, /, *, key_id: str, yes: bool) -> None:
    """Revokes a key for good; it takes effect in every gateway within ten seconds."""
    key = session.gateway.get(f"/v1/keys/{find_key_id(session, key_id)}")
    if key["revoked_at"]:
        session.out.result({"id": key["id"], "revoked": True}, f"already revoked  {key['name']}")
        return
    question = f"Revoke the key {key['name']} of {key['tenant']}? This cannot be undone."
    session.confirm(question, yes=yes)
    session.gateway.delete(f"/v1/keys/{key['id']}")
    session.out.result({"id": key["id"], "revoked": True}, f"revoked  {key['name']}")


def _show(session: Session, key: Mapping[str, Any]) -> None:
    if session.out.as_json:
        session.out.document(key)
        return
    session.out.fields(
        (
            ("id", key["id"]),
            ("name", key["name"]),
            ("tenant", key["tenant"]),
            ("scopes", ", ".join(key["scopes"])),
            ("state", _state(key)),
            ("created", f"{when(key['created_at'])} by {key['created_by']}"),
            ("expires", when(key["expires_at"]) if key["expires_at"] else "never"),
            ("former secret", f"valid until {when(key['former_until'])}" if key["former_until"] else None),
            ("last used", when(key["last_used_at"]) if key["last_used_at"] else None),
            ("limits", f"{key['rate']:g} requests a second, {key['burst']} at once"),
            ("largest body", key["max_body_bytes"]),
        )
    )
    if "token" in key:
        session.out.line("")
        session.out.line(key["token"])
        session.out.remark(_ONCE)


def _row(key: Mapping[str, Any]) -> tuple[Any, ...]:
    used = f"{age(key['last_used_at'])} ago" if key["last_used_at"] else None
    return (key["id"], key["name"], key["tenant"], ",".join(key["scopes"]), _state(key), used)


def _state(key: Mapping[str, Any]) -> str:
    if key["revoked_at"]:
        return "revoked"
    if key["expires_at"] and datetime.fromisoformat(key["expires_at"]) <= datetime.now(UTC):
        return "expired"
    return "valid"
