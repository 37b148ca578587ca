"""Redrives through the gateway: making a plan, and following one to its end."""

import time
from collections.abc import Mapping
from typing import Any, Final

from waybill_cli.actions.watch import POLL_SECONDS, OutageTolerance
from waybill_cli.command_line import Exit
from waybill_cli.output import SHOWN_HASH, progress_line, show_plan, show_redrive
from waybill_cli.session import Session

#: States in which nothing more happens without an operator.
_AT_REST: Final = frozenset({"halted", "completed", "cancelled"})
_DONE: Final = ("succeeded", "failed", "cancelled", "skipped")


def make_redrive_plan(
    session: Session, chosen: Mapping[str, Any], patch: list[dict[str, Any]], **wishes: Any
) -> None:
    """Makes a plan and shows what it would do; nothing is sent.

    Args:
        session: of the command.
        chosen: the letters, as `ids` or as `filter`.
        patch: JSON Patch for all their payloads; empty: none.
        wishes: rate, canary, note; None: the default of the gateway.
    """
    body = dict(chosen) | {name: value for name, value in wishes.items() if value is not None}
    if patch:
        body["edits"] = [{"patch": patch}]
    made = session.gateway.post("/v1/redrives", body)
    if session.out.as_json:
        session.out.document(made)
        return
    show_plan(session.out, made)
    session.out.remark(
        f"Nothing was sent. Start it: waybill dlq start {made['id']} --hash {made['hash'][:SHOWN_HASH]}"
    )


def follow_redrive(session: Session, redrive: int) -> Exit:
    """Shows the progress of a redrive until it ends or halts.

    Returns:
        OK if every letter that was sent was completed.
    """
    tolerance = OutageTolerance(session.out)
    shown: tuple[Any, ...] = ()
    found = session.gateway.get(f"/v1/redrives/{redrive}")
    with session.out.bar(f"redrive {redrive}", found["letters"]) as show_progress:
        while True:
            show_progress(sum(found["progress"][state] for state in _DONE), found["phase"] or found["state"])
            if (now := (found["state"], found["phase"])) != shown:
                shown = now
                session.out.progress(found, progress_line(found))
            if found["state"] in _AT_REST:
                break
            time.sleep(POLL_SECONDS)
            found = tolerance.ask(lambda: session.gateway.get(f"/v1/redrives/{redrive}")) or found
    if not session.out.as_json:
        show_redrive(session.out, found)
    return ended_well(found)


def ended_well(redrive: Mapping[str, Any]) -> Exit:
    """Returns NO if the redrive halted, was cancelled, or has failed letters."""
    is_bad = redrive["state"] in {"halted", "cancelled"} or redrive["progress"]["failed"] > 0
    return Exit.NO if is_bad else Exit.OK
