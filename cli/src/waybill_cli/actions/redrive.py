"""Redrives through the gateway: making a plan, and following one to its end."""

import time
from collections.abc import Mapping
from typing import Any, Final

from waybill_cli.actions.watch import LOOK_SECONDS, Patience
from waybill_cli.output.redrive_views import SHOWN_HASH, progress_line, show_plan, show_redrive
from waybill_cli.session.exits import Exit
from waybill_cli.session.session import Session

#: States in which nothing more happens unless somebody does something.
_AT_REST: Final = frozenset({"halted", "completed", "cancelled"})
_DONE: Final = ("succeeded", "failed", "cancelled", "skipped")


def plan(session: Session, chosen: Mapping[str, Any], patch: list[dict[str, Any]], **wishes: Any) -> None:
    """Makes a plan and shows what it would do; nothing is sent.

    Args:
        session: of the command.
        chosen: the letters, by `ids` or `filter`.
        patch: of all their payloads; empty: none.
        wishes: rate, canary, note; what is None is left to the gateway.
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
    """Shows how a redrive goes until it ends or halts.

    Returns:
        OK if all that was sent was completed.
    """
    patience = Patience(session.out)
    shown: tuple[Any, ...] = ()
    found = session.gateway.get(f"/v1/redrives/{redrive}")
    with session.out.bar(f"redrive {redrive}", found["letters"]) as tell:
        while True:
            tell(sum(found["progress"][state] for state in _DONE), found["phase"] or found["state"])
            if (now := (found["state"], found["phase"])) != shown:
                shown = now
                session.out.progress(found, progress_line(found))
            if found["state"] in _AT_REST:
                break
            time.sleep(LOOK_SECONDS)
            found = patience.ask(lambda: session.gateway.get(f"/v1/redrives/{redrive}")) or found
    if not session.out.as_json:
        show_redrive(session.out, found)
    return ended_well(found)


def ended_well(redrive: Mapping[str, Any]) -> Exit:
    """NO if it halted or was cancelled, or if letters of it failed."""
    is_bad = redrive["state"] in {"halted", "cancelled"} or redrive["progress"]["failed"] > 0
    return Exit.NO if is_bad else Exit.OK
