"""`waybill dlq edit`: mends the payload of a letter, and plans its redrive."""

import json
from pathlib import Path
from typing import Any

import click
from jsonpatch import make_patch

from waybill_cli.commands.dlq_options import edit_options, patch_of
from waybill_cli.exits import CommandError, Exit
from waybill_cli.fitting import UNFIXABLE
from waybill_cli.options import Command
from waybill_cli.redriving import plan
from waybill_cli.session import Session, with_session


@click.command(
    "edit",
    cls=Command,
    epilog="waybill dlq edit 17                                  # in your editor\n"
    "waybill dlq edit 17 --set /data/city=London\n"
    "waybill dlq edit 17 --patch mend.json --preview",
)
@click.argument("letter", type=click.IntRange(min=1))
@edit_options
@click.option("--preview", is_flag=True, help="Only tell what the contract says of it: no plan.")
@click.option("--note", metavar="TEXT", help="For the record.")
@with_session
def edit(
    session: Session,
    /,
    *,
    letter: int,
    patch_file: Path | None,
    assigned: tuple[str, ...],
    removed: tuple[str, ...],
    preview: bool,
    note: str | None,
) -> Exit:
    """Mends the payload of a letter, and plans its redrive; nothing is sent before the plan is started.

    Without --set, --remove or --patch the payload opens in $EDITOR, in the contract's current form. Exits
    with 1 if the contract does not accept the result.
    """
    path = f"/v1/dead-letters/{letter}/preview"
    patch = patch_of(patch_file, assigned, removed)
    if not patch:
        patch = _by_hand(session.gateway.post(path, {"patch": []})["payload"])
    seen = session.gateway.post(path, {"patch": patch})
    if seen["verdict"] == UNFIXABLE:
        faults = [f"{each['field']}: {each['message']}" for each in seen["errors"] or ()]
        repeat = f"Your edit, to go on from (--patch FILE): {json.dumps(patch, ensure_ascii=False)}"
        raise CommandError(Exit.NO, "the contract does not accept it", *faults, repeat)
    if preview:
        text = json.dumps(seen["payload"], indent=2, ensure_ascii=False)
        session.out.result(seen, seen["verdict"])
        if not session.out.as_json:
            session.out.block(text)
    else:
        plan(session, {"ids": [letter]}, patch, note=note)
    return Exit.OK


def _by_hand(payload: Any) -> list[dict[str, Any]]:
    """What an editor made of it, as a JSON Patch."""
    if not isinstance(payload, dict):
        raise CommandError(Exit.NO, "the payload is no JSON object, so there is nothing to edit: use --patch")
    text = click.edit(json.dumps(payload, indent=2, ensure_ascii=False) + "\n", extension=".json")
    if text is None:
        raise CommandError(Exit.NO, "nothing was changed")
    try:
        changed = json.loads(text)
    except ValueError as error:
        raise CommandError(Exit.NO, f"what you wrote is no JSON: {error}", "Nothing was changed.") from error
    patch: list[dict[str, Any]] = make_patch(payload, changed).patch
    if not patch:
        raise CommandError(Exit.NO, "nothing was changed")
    return patch
