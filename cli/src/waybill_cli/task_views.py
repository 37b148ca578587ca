"""Tasks as people see them."""

from collections.abc import Mapping
from typing import Any, Final

from waybill_cli.output import Output
from waybill_cli.times import age, when

TASK_COLUMNS: Final = ("ID", "KIND", "STATE", "AGE", "ABOUT", "SUBTASKS")
_SUBTASK_COLUMNS: Final = ("SERVICE", "STATE", "ATTEMPT", "REDRIVE", "NEXT", "RESULT OR ERROR")
_TIMELINE_COLUMNS: Final = ("WHEN", "WHAT", "SERVICE", "ATTEMPT", "DETAILS")


def task_row(task: Mapping[str, Any]) -> tuple[Any, ...]:
    """A line of a list of tasks, by `TASK_COLUMNS`."""
    parts = ", ".join(f"{part['service']} {part['state']}" for part in task["subtasks"])
    return (task["id"], task["kind"], task["state"], age(task["created_at"]), task["about"], parts)


def show_whole_task(out: Output, task: Mapping[str, Any], events: list[dict[str, Any]]) -> None:
    """Everything about one task."""
    out.fields(
        (
            ("id", task["id"]),
            ("kind", task["kind"]),
            ("state", task["state"]),
            ("about", task["about"]),
            ("correlation", task["correlation_id"]),
            ("trace", task["trace_id"]),
            ("accepted", when(task["created_at"])),
            ("due", when(task["due_at"])),
            ("ended", when(task["completed_at"])),
            ("erased", when(task.get("erased_at"))),  # gateways from before tell none
        )
    )
    out.line("")
    out.table(_SUBTASK_COLUMNS, map(_subtask_row, task["subtasks"]))
    out.line("")
    out.table(_TIMELINE_COLUMNS, map(_timeline_row, events))


def event_line(event: Mapping[str, Any]) -> str:
    """One event of a timeline, for a log that grows."""
    at, what, service, attempt, details = _timeline_row(event)
    part = f"  {service} attempt {attempt}" if service else ""
    return f"{at}  {what}{part}{f'  {details}' if details else ''}"


def _subtask_row(part: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        part["service"],
        part["state"],
        f"{part['attempt']}/{part['max_attempts'] or '?'}",
        part["redrive_no"] or None,
        age(part["next_attempt_at"]),
        _error(part["error"]) or part["result"],
    )


def _timeline_row(event: Mapping[str, Any]) -> tuple[Any, ...]:
    details = _error(event["details"].get("error")) or event["details"] or None
    return (when(event["at"]), event["type"], event["service"], event["attempt"], details)


def _error(error: Mapping[str, Any] | None) -> str | None:
    return f"{error['type']}: {error['message']}" if error else None
