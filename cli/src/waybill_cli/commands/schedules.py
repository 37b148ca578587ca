"""`waybill schedules`: schedules of tasks."""

from collections.abc import Mapping
from typing import Any, Final

import click

from waybill_cli.actions import reason_of, reveal_options, revealed
from waybill_cli.command_line import Group
from waybill_cli.output import age, due, span, when
from waybill_cli.session import Session, find_schedule_id, list_options, show_listing, with_session

_COLUMNS: Final = ("NAME", "KIND", "WHEN", "STATE", "NEXT", "LAST", "ID")


@click.group(cls=Group)
def schedules() -> None:
    """Schedules that make tasks repeatedly."""


@schedules.command("ls", epilog="waybill schedules ls")
@list_options
@with_session
def list_schedules(session: Session, /, *, limit: int, every: bool) -> None:
    """Lists schedules, the newest first."""
    show_listing(session, "/v1/schedules", _COLUMNS, _row, limit=limit, every=every)


@schedules.command(
    "show",
    epilog="waybill schedules show weekly-report\n"
    "waybill schedules show weekly-report --reveal --reason 'who gets it?'",
)
@click.argument("schedule", metavar="NAME_OR_ID")
@reveal_options
@with_session
def show_schedule(session: Session, /, *, schedule: str, reveal: bool, reason: str | None) -> None:
    """Shows a schedule, its next slots, and its latest tasks.

    Sealed fields are shown as [redacted]. --reveal shows them in clear; who saw them, and why, is audited.
    """
    because = reason_of(reveal=reveal, reason=reason)
    path = f"/v1/schedules/{find_schedule_id(session, schedule)}"
    found = session.gateway.get(path)
    if because is not None:
        found |= {"body": revealed(session, path, because)["payload"]}
    if session.out.as_json:
        session.out.document(found)
        return
    session.out.fields(
        (
            ("name", found["name"]),
            ("id", found["id"]),
            ("kind", found["kind"]),
            ("when", _when(found)),
            ("time zone", found["timezone"]),
            ("state", _state(found)),
            ("error", found["error"]),
            ("starts", when(found["starts_at"]) if found["starts_at"] else None),
            ("ends", when(found["ends_at"]) if found["ends_at"] else None),
            ("missed slots", f"{found['missed']}, up to {found['missed_limit']}"),
            ("priority", found["priority"]),
            ("body", found["body"]),
            ("next", ", ".join(map(when, found["next"])) or None),
        )
    )
    session.out.line("")
    session.out.table(
        ("SLOT", "TASK", "STATE"),
        ((when(task["slot"]), task["id"], task["state"]) for task in found["last_tasks"]),
    )


@schedules.command("pause", epilog="waybill schedules pause weekly-report")
@click.argument("schedule", metavar="NAME_OR_ID")
@with_session
def pause_schedule(session: Session, /, *, schedule: str) -> None:
    """Pauses a schedule; slots that pass meanwhile make no tasks, also not later."""
    _change(session, schedule, paused=True)


@schedules.command("resume", epilog="waybill schedules resume weekly-report")
@click.argument("schedule", metavar="NAME_OR_ID")
@with_session
def resume_schedule(session: Session, /, *, schedule: str) -> None:
    """Resumes a schedule from its next slot on."""
    _change(session, schedule, paused=False)


@schedules.command("run", epilog="waybill schedules run weekly-report")
@click.argument("schedule", metavar="NAME_OR_ID")
@with_session
def run_schedule(session: Session, /, *, schedule: str) -> None:
    """Makes a task of a schedule now, also of one that is paused; its slots stay as they are."""
    made = session.gateway.post(f"/v1/schedules/{find_schedule_id(session, schedule)}/run")
    session.out.result(made, f"{made['state']}  {made['id']}")


@schedules.command("rm", epilog="waybill schedules rm weekly-report --yes")
@click.argument("schedule", metavar="NAME_OR_ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_session
def remove_schedule(session: Session, /, *, schedule: str, yes: bool) -> None:
    """Deletes a schedule; its tasks stay."""
    path = f"/v1/schedules/{find_schedule_id(session, schedule)}"
    found = session.gateway.get(path)
    about = f"{found['name']} ({found['kind']}, {_when(found)})"
    session.confirm(f"Delete the schedule {about}? This cannot be undone.", yes=yes)
    session.gateway.delete(path)
    session.out.result({"id": found["id"], "deleted": True}, f"deleted  {found['name']}")


def _change(session: Session, schedule: str, **changes: Any) -> None:
    changed = session.gateway.patch(f"/v1/schedules/{find_schedule_id(session, schedule)}", changes)
    following = f", next {when(changed['next'][0])}" if changed["next"] else ""
    session.out.result(changed, f"{_state(changed)}  {changed['name']}{following}")


def _row(schedule: Mapping[str, Any]) -> tuple[Any, ...]:
    following = due(schedule["next"][0]) if schedule["next"] else None
    last = f"{age(schedule['last_slot_at'])} ago" if schedule["last_slot_at"] else None
    state = _state(schedule)
    return (schedule["name"], schedule["kind"], _when(schedule), state, following, last, schedule["id"])


def _when(schedule: Mapping[str, Any]) -> str:
    if schedule["cron"]:
        return f"{schedule['cron']} {schedule['timezone']}"
    return f"every {span(schedule['every_seconds'])}"


def _state(schedule: Mapping[str, Any]) -> str:
    if schedule["error"]:
        return "failed"
    if schedule["paused"]:
        return "paused"
    return "active" if schedule["next"] else "over"
