"""`waybill dlq groups|ls|show|note|export|audit`: looking at what failed."""

import json
from pathlib import Path
from typing import Any

import click

from waybill_cli.commands.dlq_options import LETTER_STATES, filter_options
from waybill_cli.exits import CommandError, Exit
from waybill_cli.letter_views import (
    DEED_COLUMNS,
    GROUP_COLUMNS,
    LETTER_COLUMNS,
    deed_row,
    group_row,
    letter_row,
    show_group,
    show_letter,
)
from waybill_cli.listing import list_options, show_listing
from waybill_cli.options import Command
from waybill_cli.progress import bar
from waybill_cli.session import Session, with_session
from waybill_cli.times import Moment

_GROUP_STATES = ("open", "redriving", "resolved", "regressed", "archived")
_LETTERS = "/v1/dead-letters"


@click.command(
    "groups", cls=Command, epilog="waybill dlq groups --state open\nwaybill dlq groups --service sync --json"
)
@click.option("--state", type=click.Choice(_GROUP_STATES), help="Only those in this state.")
@click.option("--service", metavar="NAME", help="Only this service's.")
@click.option("--kind", metavar="KIND", help="Only this kind.")
@click.option("-q", metavar="TEXT", help="Part of the message or of the error's class.")
@list_options
@with_session
def groups(session: Session, /, *, limit: int, every: bool, **filters: Any) -> None:
    """Lists what failed alike, the latest first; the bars are the deaths of each of the last 24 hours."""
    path = f"{_LETTERS}/groups"
    show_listing(session, path, GROUP_COLUMNS, group_row, limit=limit, every=every, **filters)


@click.command(
    "ls", cls=Command, epilog="waybill dlq ls --state dead --service sync\nwaybill dlq ls --verdict unfixable"
)
@click.option("--state", type=click.Choice(LETTER_STATES), help="Only those in this state.")
@click.option("--task", metavar="ID", help="Only letters of this task.")
@filter_options
@list_options
@with_session
def list_letters(session: Session, /, *, limit: int, every: bool, **filters: Any) -> None:
    """Lists dead letters, the newest first."""
    show_listing(session, _LETTERS, LETTER_COLUMNS, letter_row, limit=limit, every=every, **filters)


@click.command(
    "show",
    cls=Command,
    epilog="waybill dlq show 17\nwaybill dlq show 9f0c1d7be1b0a84f2a7cf3b9d5c2e6aa",
)
@click.argument("letter_or_group")
@with_session
def show(session: Session, /, *, letter_or_group: str) -> None:
    """Shows a letter (by its number) whole, or a group (by its id)."""
    # A group's id has 32 digits, hexadecimal; a letter's number never comes near.
    is_letter = letter_or_group.isdecimal() and len(letter_or_group) < len(f"{2**63}")
    path = f"{_LETTERS}/{letter_or_group}" if is_letter else f"{_LETTERS}/groups/{letter_or_group}"
    if not letter_or_group.isalnum():
        raise CommandError(Exit.USAGE, f"{letter_or_group!r} is neither a letter's number nor a group's id")
    found = session.gateway.get(path)
    if session.out.as_json:
        session.out.document(found)
    elif is_letter:
        show_letter(session.out, found)
    else:
        show_group(session.out, found)


@click.command("note", cls=Command, epilog='waybill dlq note $GROUP "crm was down, ticket 7"')
@click.argument("group")
@click.argument("text")
@with_session
def note(session: Session, /, *, group: str, text: str) -> None:
    """Writes down what is to be remembered of a group."""
    session.out.result(session.gateway.post(f"{_LETTERS}/groups/{group}/note", {"note": text}), "noted")


@click.command(
    "export",
    cls=Command,
    epilog="waybill dlq export --group $GROUP -o letters.jsonl\n"
    "waybill dlq export --state dead | jq .payload",
)
@click.option("--state", type=click.Choice(LETTER_STATES), help="Only those in this state.")
@click.option("--task", metavar="ID", help="Only letters of this task.")
@filter_options
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="A file, instead of the output."
)
@with_session
def export(session: Session, /, *, output: Path | None, **filters: Any) -> None:
    """Writes whole letters as JSON lines, oldest first; sensitive fields are redacted."""
    found = session.gateway.lines(f"{_LETTERS}/export", **filters)
    if output is None:
        for letter in found:
            session.out.document(letter)
        return
    unfinished = output.with_name(f"{output.name}.part")
    count = 0
    try:
        with unfinished.open("w", encoding="utf-8") as file, bar("exporting", None) as tell:
            for count, letter in enumerate(found, start=1):
                file.write(json.dumps(letter, ensure_ascii=False) + "\n")
                tell(count, "")
        unfinished.replace(output)
    except OSError as error:
        raise CommandError(Exit.NO, f"{output} cannot be written: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    session.out.result({"exported": count, "file": str(output)}, f"exported {count} to {output}")


@click.command("audit", cls=Command, epilog="waybill dlq audit --since 7d\nwaybill dlq audit --redrive 3")
@click.option("--who", "actor", metavar="NAME", help="What this person did.")
@click.option("--action", metavar="WORD", help="Only this: plan, start, pause, discard …")
@click.option("--redrive", type=click.IntRange(min=1), help="What was done with this redrive.")
@click.option("--group", metavar="GROUP", help="What was done with this group.")
@click.option("--since", type=Moment(), help="At or after: 30m, 2h, 7d (ago), or ISO 8601.")
@click.option("--until", type=Moment(), help="Before.")
@list_options
@with_session
def audit(session: Session, /, *, limit: int, every: bool, **filters: Any) -> None:
    """Lists who did what at the desk, when and why, the latest first."""
    show_listing(session, f"{_LETTERS}/audit", DEED_COLUMNS, deed_row, limit=limit, every=every, **filters)
