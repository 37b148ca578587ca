"""Tasks as text for people."""

import json
from collections.abc import Mapping
from typing import Any, Final

from waybill_cli.output.output import Output
from waybill_cli.output.times import age, when

TASK_COLUMNS: Final = ("ID", "KIND", "STATE", "AGE", "ABOUT", "SUBTASKS")
_SUBTASK_COLUMNS: Final = ("SERVICE", "STATE", "ATTEMPT", "REDRIVE", "NEXT", "PROGRESS", "RESULT OR ERROR")
_TIMELINE_COLUMNS: Final = ("WHEN", "WHAT", "SERVICE", "ATTEMPT", "DETAILS")


def task_row(task: Mapping[str, Any]) -> tuple[Any, ...]:
    """A row of `TASK_COLUMNS`."""
    parts = ", ".join(f"{part['service']} {part['state']}" for part in task["subtasks"])
    return (task["id"], task["kind"], task["state"], age(task["created_at"]), task["about"], parts)


def show_whole_task(out: Output, task: Mapping[str, Any], events: list[dict[str, Any]]) -> None:
    """Shows all fields of a task, its subtasks and its timeline."""
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
            # Absent in answers of older gateways, as is what follows.
            ("parent", _parent(task.get("parent"))),
            ("children", task.get("children") or None),
            ("erased", when(task.get("erased_at"))),
        )
    )
    out.line("")
    out.table(_SUBTASK_COLUMNS, map(_subtask_row, task["subtasks"]))
    out.line("")
    out.table(_TIMELINE_COLUMNS, map(_timeline_row, events))


def event_line(event: Mapping[str, Any]) -> str:
    """One event of a timeline as a line of text."""
    at, what, service, attempt, details = _timeline_row(event)
    part = f"  {service} attempt {attempt}" if service else ""
    return f"{at}  {what}{part}{f': {details}' if details else ''}"


def attempt_of(facts: Mapping[str, Any]) -> str:
    """The attempt of a subtask or letter, `3/16`; without its limit where that is unknown."""
    attempt, most = facts["attempt"], facts["max_attempts"]
    return f"{attempt}/{most}" if most else f"{attempt}"


def _parent(parent: Mapping[str, Any] | None) -> str | None:
    return f"{parent['id']} ({parent['service']})" if parent else None


def progress_in_words(progress: Mapping[str, Any] | None) -> str | None:
    """Progress as `40 %, page 4 of 10`; None if there is none."""
    if not progress:
        return None
    share = progress.get("share")
    percent = None if share is None else f"{share:.0%}".replace("%", " %")
    return ", ".join(filter(None, (percent, progress.get("text")))) or None


def _subtask_row(part: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        part["service"],
        part["state"],
        attempt_of(part),
        part["redrive_no"] or None,
        age(part["next_attempt_at"]),
        progress_in_words(part.get("progress")),  # absent in answers of older gateways
        _error(part["error"]) or _in_words(part["result"]),
    )


def _timeline_row(event: Mapping[str, Any]) -> tuple[Any, ...]:
    attempt = event["attempt"]
    if attempt and (most := event["details"].get("max_attempts")):
        attempt = f"{attempt} of {most}"
    return (when(event["at"]), event["type"], event["service"], attempt, _details(event["details"]))


def _details(details: Mapping[str, Any]) -> str | None:
    """The details of an event in words, without the attempt; None if there are none."""
    rest = dict(details)
    rest.pop("max_attempts", None)
    seconds, reason, error, progress = (
        rest.pop(name, None) for name in ("seconds", "reason", "error", "progress")
    )
    times = {"next_attempt_at": "next attempt", "due_at": "due"}
    words = [
        _error(error),
        progress_in_words(progress),
        f"given up as {reason}" if reason else None,
        *(f"{name} {when(rest.pop(key))}" for key, name in times.items() if rest.get(key)),
        f"took {seconds:.3g} s" if isinstance(seconds, int | float) else None,
        _in_words(rest.pop("result", None)),
        _in_words(rest),
    ]
    return "; ".join(filter(None, words)) or None


def _in_words(facts: Any) -> str | None:
    """The result of a handler as names and values; nested values as JSON."""
    if not isinstance(facts, dict):
        return None if facts is None else _value(facts)
    return ", ".join(f"{name} {_value(value)}" for name, value in facts.items()) or None


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _error(error: Mapping[str, Any] | None) -> str | None:
    return f"{error['type']}: {error['message']}" if error else None
