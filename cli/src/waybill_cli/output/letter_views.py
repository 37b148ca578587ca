"""Dead letters and their groups as text for people."""

import json
from collections.abc import Mapping
from typing import Any, Final

from waybill_cli.output.output import Output
from waybill_cli.output.task_views import attempt_of
from waybill_cli.output.times import age, when

GROUP_COLUMNS: Final = ("GROUP", "STATE", "DEAD", "ALL", "LAST", "LAST 24 H", "SERVICE", "KIND", "ERROR")
LETTER_COLUMNS: Final = ("LETTER", "STATE", "DIED", "SERVICE", "REASON", "VERDICT", "EFFECT", "TASK", "ERROR")
#: Reasons why a reveal does not show a field.
_HIDDEN: Final = {
    "secret": "it is a secret",
    "unknown": "it is sealed, and no contract of the gateway's release has this field",
    "altered": "it was changed after it was sealed, and cannot be opened",
}
#: Eight heights of a bar; an hour without any has a dot.
_HEIGHTS: Final = "▁▂▃▄▅▆▇█"


def group_row(group: Mapping[str, Any]) -> tuple[Any, ...]:
    """A row of `GROUP_COLUMNS`."""
    return (
        group["id"],
        group["state"],
        group["letters"].get("dead", 0),
        group["total"],
        f"{age(group['last_seen'])} ago",
        sparkline(group["trend"]),
        group["service"],
        group["kind"],
        f"{group['error_type']}: {group['message']}",
    )


def letter_row(letter: Mapping[str, Any]) -> tuple[Any, ...]:
    """A row of `LETTER_COLUMNS`."""
    return (
        letter["id"],
        letter["state"],
        f"{age(letter['died_at'])} ago",
        letter["service"],
        letter["reason"],
        letter["verdict"],
        letter["effect"],
        letter["task_id"],
        _error(letter),
    )


def show_group(out: Output, group: Mapping[str, Any]) -> None:
    """Shows all fields of a group."""
    out.fields(
        (
            ("group", group["id"]),
            ("state", group["state"]),
            ("service", group["service"]),
            ("kind", group["kind"]),
            ("error", f"{group['error_type']}: {group['message']}"),
            ("where", group["frame"]),
            ("letters", ", ".join(f"{count} {state}" for state, count in group["letters"].items() if count)),
            ("first seen", when(group["first_seen"])),
            ("last seen", when(group["last_seen"])),
            ("last 24 h", sparkline(group["trend"])),
            ("note", group["note"]),
        )
    )
    out.remark(f"Its latest letter: waybill dlq show {group['sample']}")


def show_letter(out: Output, letter: Mapping[str, Any]) -> None:
    """Shows all fields of a letter."""
    closed = letter["closed"]
    out.fields(
        (
            ("letter", letter["id"]),
            ("state", letter["state"]),
            ("group", letter["group"]),
            ("task", letter["task_id"]),
            ("service", letter["service"]),
            ("kind", letter["kind"]),
            ("schema", letter["dataschema"]),
            ("attempt", attempt_of(letter)),
            ("redrive", letter["redrive_no"] or None),
            ("died", when(letter["died_at"])),
            ("reason", letter["reason"]),
            ("error", _error(letter)),
            ("where", letter["frame"]),
            ("version", letter["service_version"]),
            ("verdict", letter["verdict"]),
            *(("", f"{each['field']}: {each['message']}") for each in letter["errors"] or ()),
            ("effect", letter["effect"]),
            (
                "closed",
                f"{when(closed['at'])} by {closed['by']}: {closed['reason']}" if closed else None,
            ),
            ("restorable", f"until {when(letter['restorable_until'])}" if closed else None),
        )
    )
    if letter["redrives"]:
        out.line("")
        out.table(
            ("REDRIVE", "SENT", "STATE", "EDITED", "DEAD AGAIN AS"), map(_redrive_row, letter["redrives"])
        )
    out.line("")
    out.line("payload")
    out.block(payload_text(letter))
    if letter["traceback"]:
        out.line("")
        out.block(letter["traceback"])


def payload_in(seen: Mapping[str, Any]) -> dict[str, Any]:
    """The revealed fields, to replace the masked ones of a letter."""
    return {name: seen[name] for name in ("payload", "body_base64", "hidden")}


def show_edited(out: Output, title: str, edited: Mapping[str, Any] | None) -> None:
    """Shows an edited payload; None: it is not edited."""
    out.line(title)
    out.block("not edited" if edited is None else payload_text(edited))


def payload_text(letter: Mapping[str, Any]) -> str:
    """The payload as indented JSON, with remarks on hidden fields; base64 if it is not JSON."""
    if letter.get("body_base64"):
        return f"no JSON, in base64: {letter['body_base64']}"
    text = json.dumps(letter["payload"], indent=2, ensure_ascii=False)
    hidden = [
        f"{name} is not shown: {_HIDDEN.get(why, why)}" for name, why in (letter.get("hidden") or {}).items()
    ]
    return "\n".join((text, *hidden))


def sparkline(counts: list[int]) -> str:
    """Counts as a row of bars, scaled to the highest."""
    highest = max(counts, default=0)
    return "".join(_HEIGHTS[(len(_HEIGHTS) - 1) * count // highest] if count else "." for count in counts)


def _redrive_row(redrive: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        redrive["redrive_id"],
        when(redrive["sent_at"]),
        redrive["state"],
        redrive["edited"],
        redrive["returned_as"],
    )


def _error(letter: Mapping[str, Any]) -> str:
    return f"{letter['error']['type']}: {letter['error']['message']}"
