"""Redrives as text for people."""

from collections.abc import Mapping
from typing import Any, Final

from waybill_cli.output.output import Output
from waybill_cli.output.times import age, span, when

#: Shown digits of a plan's hash: enough to be unique.
SHOWN_HASH: Final = 12
REDRIVE_COLUMNS: Final = ("REDRIVE", "STATE", "LETTERS", "ENDED WELL", "FAILED", "PLANNED", "BY", "NOTE")
ITEM_COLUMNS: Final = ("LETTER", "STATE", "SERVICE", "VERDICT", "EFFECT", "TASK", "REDRIVE", "REMARK")


def redrive_row(redrive: Mapping[str, Any]) -> tuple[Any, ...]:
    """A row of `REDRIVE_COLUMNS`."""
    return (
        redrive["id"],
        redrive["state"],
        redrive["letters"],
        redrive["progress"]["succeeded"],
        redrive["progress"]["failed"],
        f"{age(redrive['created_at'])} ago",
        redrive["created_by"],
        redrive["note"],
    )


def item_row(item: Mapping[str, Any]) -> tuple[Any, ...]:
    """A row of `ITEM_COLUMNS`."""
    faults = "; ".join(f"{each['field']}: {each['message']}" for each in item["errors"] or ())
    again = f"dead again as {item['returned_as']}" if item["returned_as"] else ""
    return (
        item["letter"],
        item["state"],
        item["service"],
        item["verdict"],
        item["effect"],
        item["task_id"],
        item["redrive_no"],
        ", ".join(filter(None, (item["skipped_because"], again, faults, "edited" if item["edited"] else ""))),
    )


def show_plan(out: Output, redrive: Mapping[str, Any]) -> None:
    """Shows what a redrive will do, before it is started."""
    dry_run = redrive["dry_run"]
    takes = f"{span(dry_run['seconds'])} at {redrive['rate']:g} a second"
    canary = f", {redrive['canary']} of them first" if redrive["canary"] else ", without a canary"
    out.fields(
        (
            ("redrive", redrive["id"]),
            ("note", redrive["note"]),
            ("letters", redrive["letters"]),
            ("will run", f"{dry_run['will_run']} ({_counts(dry_run['destinations'])})"),
            ("will be skipped", dry_run["will_skip"]),
            ("edited", dry_run["edited"] or None),
            ("verdicts", _counts(dry_run["verdicts"])),
            ("effects", _counts(dry_run["effects"])),
            ("takes", takes + canary),
            # Long enough for `start`, short enough for a line.
            ("hash", redrive["hash"][:SHOWN_HASH] if out.is_terminal else redrive["hash"]),
        )
    )
    if dry_run["unfixable"]:
        out.line("")
        out.table(
            ("NOT SENT", "BECAUSE"),
            (
                (each["letter"], "; ".join(f"{e['field']}: {e['message']}" for e in each["errors"]))
                for each in dry_run["unfixable"]
            ),
        )


def show_redrive(out: Output, redrive: Mapping[str, Any]) -> None:
    """Shows the progress of a redrive."""
    out.fields(
        (
            ("redrive", redrive["id"]),
            ("state", redrive["state"]),
            ("phase", redrive["phase"]),
            ("halted because", redrive["halted_because"]),
            ("note", redrive["note"]),
            ("letters", redrive["letters"]),
            ("progress", _counts(redrive["progress"])),
            ("planned", f"{when(redrive['created_at'])} by {redrive['created_by']}"),
            (
                "started",
                f"{when(redrive['started_at'])} by {redrive['started_by']}"
                if redrive["started_at"]
                else None,
            ),
            ("ended", when(redrive["ended_at"]) if redrive["ended_at"] else None),
        )
    )


def progress_line(redrive: Mapping[str, Any]) -> str:
    """The progress of a redrive in one line."""
    phase = f" ({redrive['phase']})" if redrive["phase"] else ""
    because = f": {redrive['halted_because']}" if redrive["halted_because"] else ""
    return f"redrive {redrive['id']} {redrive['state']}{phase}{because}  {_counts(redrive['progress'])}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none"
