"""Tasks as people see them."""

import json
from collections.abc import Mapping
from typing import Any, Final

from waybill_cli.output.output import Output
from waybill_cli.output.times import age, when

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
    """One event of a timeline in words, for a log that grows."""
    at, what, service, attempt, details = _timeline_row(event)
    part = f"  {service} attempt {attempt}" if service else ""
    return f"{at}  {what}{part}{f': {details}' if details else ''}"


def _subtask_row(part: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        part["service"],
        part["state"],
        f"{part['attempt']}/{part['max_attempts'] or '?'}",
        part["redrive_no"] or None,
        age(part["next_attempt_at"]),
        _error(part["error"]) or _in_words(part["result"]),
    )


def _timeline_row(event: Mapping[str, Any]) -> tuple[Any, ...]:
    attempt = event["attempt"]
    if attempt and (most := event["details"].get("max_attempts")):
        attempt = f"{attempt} of {most}"
    return (when(event["at"]), event["type"], event["service"], attempt, _details(event["details"]))


def _details(details: Mapping[str, Any]) -> str | None:
    """What an event tells beside the attempt, in words; None if it is nothing."""
    told = dict(details)
    told.pop("max_attempts", None)
    seconds, reason, error = (told.pop(name, None) for name in ("seconds", "reason", "error"))
    times = {"next_attempt_at": "next attempt", "due_at": "due"}
    words = [
        _error(error),
        f"given up as {reason}" if reason else None,
        *(f"{name} {when(told.pop(key))}" for key, name in times.items() if told.get(key)),
        f"took {seconds:.3g} s" if isinstance(seconds, int | float) else None,
        _in_words(told.pop("result", None)),
        _in_words(told),
    ]
    return "; ".join(filter(None, words)) or None


def _in_words(facts: Any) -> str | None:
    """What a handler has said, as names and values; what is deeper than that as JSON."""
    if not isinstance(facts, dict):
        return None if facts is None else _value(facts)
    return ", ".join(f"{name} {_value(value)}" for name, value in facts.items()) or None


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _error(error: Mapping[str, Any] | None) -> str | None:
    return f"{error['type']}: {error['message']}" if error else None
