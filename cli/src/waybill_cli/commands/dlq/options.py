"""Options that the desk's commands share: which letters are meant, and how their payloads are edited."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from waybill_cli.output.times import Moment
from waybill_cli.session.exits import CommandError, Exit
from waybill_cli.session.ids import with_whole_group
from waybill_cli.session.session import Session

F = TypeVar("F", bound=Callable[..., Any])

#: What a filter of letters may be made of; the same names in the API.
FILTERS: Final = ("group", "service", "kind", "error_type", "reason", "verdict", "since", "until", "q")
LETTER_STATES: Final = (
    "dead",
    "redriving",
    "recovered",
    "returned",
    "cancelled",
    "discarded",
    "archived",
)
VERDICTS: Final = ("valid", "upcastable", "unfixable")


def filter_options(command: F) -> F:
    """Adds the options of `FILTERS`."""
    for option in (
        click.option(
            "-q", metavar="TEXT", help="Part of the error message, or the beginning of a task's id."
        ),
        click.option("--until", type=Moment(), help="Died before."),
        click.option("--since", type=Moment(), help="Died at or after: 30m, 2h, 7d (ago), or ISO 8601."),
        click.option("--verdict", type=click.Choice(VERDICTS), help="What the contracts say of it now."),
        click.option("--reason", metavar="WORD", help="Why it died: permanent, exhausted, deadline …"),
        click.option("--error-type", metavar="NAME", help="The class of its error."),
        click.option("--kind", metavar="KIND", help="Only this kind, for example sync.requested."),
        click.option("--service", metavar="NAME", help="Only this service's letters."),
        click.option("--group", metavar="GROUP", help="Only letters of this group (waybill dlq groups)."),
    ):
        command = option(command)
    return command


def selection_options(command: F) -> F:
    """Adds letters one by one (as `ids`), or the filter."""
    return click.argument("ids", metavar="[LETTER]...", nargs=-1, type=click.IntRange(min=1))(
        filter_options(command)
    )


def selection(session: Session, ids: tuple[int, ...], filters: Mapping[str, Any]) -> dict[str, Any]:
    """The letters that are meant, as the API takes them.

    Raises:
        CommandError: none are, or they are named in two ways.
    """
    given = {name: _plain(value) for name, value in filters.items() if value is not None}
    if bool(ids) == bool(given):
        raise CommandError(
            Exit.USAGE,
            "name letters by their numbers, or by a filter such as --group: one of the two",
            "waybill dlq groups and waybill dlq ls show what there is.",
        )
    return {"ids": list(ids)} if ids else {"filter": with_whole_group(session, given)}


def described(chosen: Mapping[str, Any]) -> str:
    """The letters that are meant, in words."""
    if ids := chosen.get("ids"):
        return f"{len(ids)} letter(s)"
    return "all letters with " + ", ".join(f"{name} {value}" for name, value in chosen["filter"].items())


def edit_options(command: F) -> F:
    """Adds the ways to say a JSON Patch (as `patch_file`, `assigned`, `removed`)."""
    for option in (
        click.option(
            "--remove", "removed", metavar="POINTER", multiple=True, help="Take a field out: /data/fax."
        ),
        click.option(
            "--set",
            "assigned",
            metavar="POINTER=VALUE",
            multiple=True,
            help="Set a field: /data/city=London. JSON if it is some, else text; may be repeated.",
        ),
        click.option(
            "--patch",
            "patch_file",
            metavar="FILE",
            type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
            help="A JSON Patch (RFC 6902) of the payload; - is standard input.",
        ),
    ):
        command = option(command)
    return command


def patch_of(
    patch_file: Path | None, assigned: tuple[str, ...], removed: tuple[str, ...]
) -> list[dict[str, Any]]:
    """The JSON Patch that the options say; empty if they say none.

    Raises:
        CommandError: one of them is none.
    """
    patch = _read(patch_file) if patch_file is not None else []
    for assignment in assigned:
        pointer, sign, value = assignment.partition("=")
        _require_pointer(pointer)
        if not sign:
            raise CommandError(Exit.USAGE, f"--set {assignment} has no value: write --set /path=value")
        # Of an object's member `add` is both: it replaces one that is there.
        patch.append({"op": "add", "path": pointer, "value": _json_or_text(value)})
    for pointer in removed:
        _require_pointer(pointer)
        patch.append({"op": "remove", "path": pointer})
    return patch


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        with click.open_file(str(path), encoding="utf-8") as file:
            patch = json.load(file)
    except (OSError, ValueError) as error:
        raise CommandError(Exit.USAGE, f"the patch {path} cannot be read: {error}") from error
    if not isinstance(patch, list):
        raise CommandError(Exit.USAGE, f"the patch {path} is no JSON Patch: it must be a list of operations")
    return patch


def _require_pointer(pointer: str) -> None:
    if not pointer.startswith("/"):
        raise CommandError(Exit.USAGE, f"{pointer!r} is no JSON Pointer: write /field or /field/below")


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
