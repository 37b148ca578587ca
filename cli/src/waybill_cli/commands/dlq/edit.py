"""`waybill dlq edit`: edits the payload of a letter, and plans its redrive."""

import json
from typing import Any

import click
from jsonpatch import make_patch

from waybill_cli.actions import make_redrive_plan, reason_of, reveal_options, revealed
from waybill_cli.checking import UNFIXABLE
from waybill_cli.command_line import Command, CommandError, Exit
from waybill_cli.commands.dlq.options import edit_options, patch_of
from waybill_cli.output import show_edited
from waybill_cli.session import Session, with_session


@click.command(
    "edit",
    cls=Command,
    epilog="waybill dlq edit 17                                  # in your editor\n"
    "waybill dlq edit 17 --set /data/city=London\n"
    "waybill dlq edit 17 --patch fix.json --preview\n"
    "waybill dlq edit 17 --set /data/city=London --reveal --reason 'ticket 7'",
)
@click.argument("letter", type=click.IntRange(min=1))
@edit_options
@click.option("--preview", is_flag=True, help="Only check the result against the contract; make no plan.")
@click.option("--note", metavar="TEXT", help="Note, kept with the plan.")
@reveal_options
@with_session
def edit(
    session: Session,
    /,
    *,
    letter: int,
    preview: bool,
    note: str | None,
    reveal: bool,
    reason: str | None,
    **how: Any,
) -> Exit:
    """Edits the payload of a letter, and plans its redrive; nothing is sent before the plan is started.

    Without --set, --remove or --patch the payload opens in $EDITOR, in the current version of its contract.
    Sealed fields are shown as [redacted], and can still be edited. --reveal shows them in clear, before and
    after the edit; who saw them, and why, is audited. Exits with 1 if the contract rejects the result.
    """
    because = reason_of(reveal=reveal, reason=reason)
    patch = patch_of(**how)
    if not patch:
        patch = _by_hand(_tried(session, letter, [], because)["payload"])
    seen = _tried(session, letter, patch, because)
    if seen["verdict"] == UNFIXABLE:
        faults = [f"{each['field']}: {each['message']}" for each in seen["errors"] or ()]
        repeat = f"Your edit, to continue from (--patch FILE): {json.dumps(patch, ensure_ascii=False)}"
        raise CommandError(Exit.NO, "the contract rejects the result", *faults, repeat)
    if preview and session.out.as_json:
        session.out.document(seen)
        return Exit.OK
    if preview or because is not None:
        _show(session, seen)
    if not preview:
        make_redrive_plan(session, {"ids": [letter]}, patch, note=note)
    return Exit.OK


def _tried(session: Session, letter: int, patch: list[dict[str, Any]], because: str | None) -> dict[str, Any]:
    """Previews an edit; given a reason, unmasked and with the payload `before`."""
    path = f"/v1/dead-letters/{letter}"
    if because is None:
        masked: dict[str, Any] = session.gateway.post(f"{path}/preview", {"patch": patch})
        return masked
    seen = revealed(session, path, because, patch=patch)
    edited: dict[str, Any] = seen.pop("edited")
    return edited | {"before": seen}


def _show(session: Session, seen: dict[str, Any]) -> None:
    if session.out.as_json:
        return
    if "before" in seen:
        show_edited(session.out, "before", seen["before"])
        session.out.line("")
    show_edited(session.out, f"after ({seen['verdict']})" if "before" in seen else seen["verdict"], seen)
    session.out.line("")


def _by_hand(payload: Any) -> list[dict[str, Any]]:
    """Opens an editor; returns the changes as a JSON Patch."""
    if not isinstance(payload, dict):
        raise CommandError(Exit.NO, "the payload is not a JSON object that could be edited: use --patch")
    text = click.edit(json.dumps(payload, indent=2, ensure_ascii=False) + "\n", extension=".json")
    if text is None:
        raise CommandError(Exit.NO, "nothing was changed")
    try:
        changed = json.loads(text)
    except ValueError as error:
        raise CommandError(Exit.NO, f"what you wrote is not JSON: {error}", "Nothing was changed.") from error
    if changed == payload:
        raise CommandError(Exit.NO, "nothing was changed")
    patch: list[dict[str, Any]] = make_patch(payload, changed).patch
    # The API refuses to move or copy a sealed value, which a computed patch may do: then set each field.
    return _by_field(payload, changed) if any(each["op"] in {"move", "copy"} for each in patch) else patch


def _by_field(payload: dict[str, Any], changed: Any) -> list[dict[str, Any]]:
    if not isinstance(changed, dict):
        raise CommandError(Exit.NO, "the payload must stay a JSON object", "Nothing was changed.")
    gone = [{"op": "remove", "path": _pointer(name)} for name in payload if name not in changed]
    new = [
        {"op": "add", "path": _pointer(name), "value": value}
        for name, value in changed.items()
        if name not in payload or payload[name] != value
    ]
    return gone + new


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")
