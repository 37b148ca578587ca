"""Shared options of the desk's commands: selection of letters, and edits of payloads."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from waybill_cli.command_line import CommandError, Exit
from waybill_cli.output import Moment
from waybill_cli.session import Session, with_whole_group

_F = TypeVar("_F", bound=Callable[..., Any])

#: Fields of a filter of letters, named as in the API.
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


def filter_options(command: _F) -> _F:
    """Adds the options of `FILTERS`."""
    for option in (
        click.option(
            "-q", metavar="TEXT", help="Part of the error message, or the beginning of a task's id."
        ),
        click.option("--until", type=Moment(), help="Dead-lettered before."),
        click.option(
            "--since", type=Moment(), help="Dead-lettered at or after: 30m, 2h, 7d (ago), or ISO 8601."
        ),
        click.option(
            "--verdict", type=click.Choice(VERDICTS), help="Only letters with this verdict of the contracts."
        ),
        click.option(
            "--reason", metavar="WORD", help="Only letters with this reason: permanent, exhausted, deadline …"
        ),
        click.option("--error-type", metavar="NAME", help="Only letters with this class of error."),
        click.option("--kind", metavar="KIND", help="Only this kind, for example sync.requested."),
        click.option("--service", metavar="NAME", help="Only this service's letters."),
        click.option("--group", metavar="GROUP", help="Only letters of this group (waybill dlq groups)."),
    ):
        command = option(command)
    return command


def selection_options(command: _F) -> _F:
    """Adds the numbers of letters (as `ids`), and the filter."""
    return click.argument("ids", metavar="[LETTER]...", nargs=-1, type=click.IntRange(min=1))(
        filter_options(command)
    )


def selection(session: Session, ids: tuple[int, ...], filters: Mapping[str, Any]) -> dict[str, Any]:
    """The selected letters, in the form of the API.

    Raises:
        CommandError: neither numbers nor a filter were given, or both.
    """
    given = {name: _plain(value) for name, value in filters.items() if value is not None}
    if bool(ids) == bool(given):
        raise CommandError(
            Exit.USAGE,
            "select letters either by their numbers, or by a filter such as --group",
            "waybill dlq groups and waybill dlq ls list them.",
        )
    return {"ids": list(ids)} if ids else {"filter": with_whole_group(session, given)}


def described(chosen: Mapping[str, Any]) -> str:
    """The selected letters in words."""
    if ids := chosen.get("ids"):
        return f"{len(ids)} letter(s)"
    return "all letters with " + ", ".join(f"{name} {value}" for name, value in chosen["filter"].items())


def edit_options(command: _F) -> _F:
    """Adds the options for a JSON Patch (as `patch_file`, `assigned`, `removed`)."""
    for option in (
        click.option(
            "--remove", "removed", metavar="POINTER", multiple=True, help="Remove a field: /data/fax."
        ),
        click.option(
            "--set",
            "assigned",
            metavar="POINTER=VALUE",
            multiple=True,
            help="Set a field: /data/city=London. A value that is not JSON is text; may be repeated.",
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
    """The JSON Patch of the options; empty if there are none.

    Raises:
        CommandError: an option is invalid.
    """
    patch = _read(patch_file) if patch_file is not None else []
    for assignment in assigned:
        pointer, sign, value = assignment.partition("=")
        _require_pointer(pointer)
        if not sign:
            raise CommandError(Exit.USAGE, f"--set {assignment} has no value: write --set /path=value")
        # On an object's member, `add` also replaces an existing one.
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
        raise CommandError(Exit.USAGE, f"the patch {path} is not a JSON Patch: write a list of operations")
    return patch


def _require_pointer(pointer: str) -> None:
    if not pointer.startswith("/"):
        raise CommandError(Exit.USAGE, f"{pointer!r} is not a JSON Pointer: write /field or /field/below")


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
