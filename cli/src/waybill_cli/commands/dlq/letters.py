"""`waybill dlq groups|ls|show|note|export|audit`: inspecting dead letters."""

import json
from pathlib import Path
from typing import Any

import click

from waybill_cli.actions import audit_options, reason_of, reveal_options, revealed, show_audit
from waybill_cli.command_line import Command, CommandError, Exit
from waybill_cli.commands.dlq.options import LETTER_STATES, filter_options
from waybill_cli.output import (
    GROUP_COLUMNS,
    LETTER_COLUMNS,
    group_row,
    letter_row,
    payload_in,
    show_edited,
    show_group,
    show_letter,
)
from waybill_cli.session import (
    Session,
    find_group_id,
    is_beginning,
    list_options,
    show_listing,
    with_session,
    with_whole_group,
)

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
    """Lists groups of dead letters, the latest first; the bars count the last 24 hours, one by one."""
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
    wanted = with_whole_group(session, filters)
    show_listing(session, _LETTERS, LETTER_COLUMNS, letter_row, limit=limit, every=every, **wanted)


@click.command(
    "show",
    cls=Command,
    epilog="waybill dlq show 17\n"
    "waybill dlq show 9f0c1d7b\n"
    "waybill dlq show 17 --reveal --reason 'ticket 7'\n"
    "waybill dlq show 17 --redrive 3 --reveal --reason 'what does plan 3 send?'",
)
@click.argument("letter_or_group")
@reveal_options
@click.option(
    "--redrive",
    type=click.IntRange(min=1),
    help="With --reveal: also the edited payload that this redrive sends.",
)
@with_session
def show(
    session: Session, /, *, letter_or_group: str, reveal: bool, reason: str | None, redrive: int | None
) -> None:
    """Shows a letter in full (by its number), or a group (by its id, or the beginning of it).

    Sealed fields are shown as [redacted]. --reveal shows them in clear; who saw them, and why, is audited.
    """
    because = reason_of(reveal=reveal, reason=reason)
    if redrive is not None and because is None:
        raise CommandError(Exit.USAGE, "--redrive needs --reveal: the payloads of a plan are sealed")
    if not is_letter(letter_or_group):
        if because is not None:
            raise CommandError(Exit.USAGE, "--reveal works on a letter only: give its number")
        _show_group(session, letter_or_group)
        return
    letter = session.gateway.get(f"{_LETTERS}/{letter_or_group}")
    edited = None
    if because is not None and redrive is not None:
        path = f"/v1/redrives/{redrive}/letters/{letter['id']}"
        seen = revealed(session, path, because)
        letter, edited = letter | payload_in(seen["before"]), seen["after"]
        letter |= {"redrive_sends": edited}
    elif because is not None:
        letter |= payload_in(revealed(session, f"{_LETTERS}/{letter['id']}", because))
    if session.out.as_json:
        session.out.document(letter)
        return
    show_letter(session.out, letter)
    if redrive is not None:
        session.out.line("")
        show_edited(session.out, f"redrive {redrive} sends instead", edited)


def is_letter(text: str) -> bool:
    """Whether the text is a letter's number; otherwise it is the id of a group, 32 hexadecimal digits.

    Raises:
        CommandError: it is neither.
    """
    if text.isdecimal() and text.isascii() and len(text) < len(f"{2**63}"):
        return True
    if not is_beginning(text):
        raise CommandError(Exit.USAGE, f"{text!r} is neither a letter's number nor a group's id")
    return False


def _show_group(session: Session, group: str) -> None:
    found = session.gateway.get(f"{_LETTERS}/groups/{find_group_id(session, group)}")
    if session.out.as_json:
        session.out.document(found)
    else:
        show_group(session.out, found)


@click.command("note", cls=Command, epilog='waybill dlq note $GROUP "crm was down, ticket 7"')
@click.argument("group")
@click.argument("text")
@with_session
def note(session: Session, /, *, group: str, text: str) -> None:
    """Writes a note on a group."""
    path = f"{_LETTERS}/groups/{find_group_id(session, group)}/note"
    session.out.result(session.gateway.post(path, {"note": text}), "noted")


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
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write to, instead of stdout.",
)
@with_session
def export(session: Session, /, *, output: Path | None, **filters: Any) -> None:
    """Writes full letters as JSON lines, oldest first; sensitive fields are redacted."""
    found = session.gateway.lines(f"{_LETTERS}/export", **with_whole_group(session, filters))
    if output is None:
        for letter in found:
            session.out.document(letter)
        return
    unfinished = output.with_name(f"{output.name}.part")
    count = 0
    try:
        with (
            unfinished.open("w", encoding="utf-8") as file,
            session.out.bar("exporting", None) as show_progress,
        ):
            for count, letter in enumerate(found, start=1):
                file.write(json.dumps(letter, ensure_ascii=False) + "\n")
                show_progress(count, "")
        unfinished.replace(output)
    except OSError as error:
        raise CommandError(Exit.NO, f"{output} cannot be written: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    session.out.result({"exported": count, "file": str(output)}, f"exported {count} to {output}")


@click.command("audit", cls=Command, epilog="waybill dlq audit --since 7d\nwaybill dlq audit --redrive 3")
@audit_options
@with_session
def audit(session: Session, /, **asked: Any) -> None:
    """Lists audit entries, the latest first; an alias of `waybill audit`."""
    show_audit(session, **asked)
