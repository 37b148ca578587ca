"""Ids on the command line: whole, or abbreviated to a unique beginning."""

import re
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import click

from waybill_cli.command_line import CommandError, Exit
from waybill_cli.session.session import Session

#: A whole id, or its beginning: hexadecimal digits and hyphens.
_DIGITS: Final = re.compile(r"(?=.*[0-9A-Fa-f])[0-9A-Fa-f-]{1,36}")
#: Ids listed in the error if several have this beginning.
_MOST_LISTED: Final = 10
#: Number of digits of the id of a group of dead letters, and of a key.
_GROUP_DIGITS, _KEY_DIGITS = 32, 16


class Id(click.ParamType[str]):
    """The id of a task, or its beginning."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Parses an id; a wrong one is a usage error."""
        if not is_beginning(value):
            self.fail(
                f"{value!r} is no id of a task: that has 32 digits from 0 to f, like "
                "01a20797-6d09-71fe-b759-803ec3a459ee; the first few are enough",
                param,
                ctx,
            )
        return str(value).lower()


def is_beginning(text: str) -> bool:
    """Whether the text may be the beginning of an id."""
    return _DIGITS.fullmatch(text) is not None


def find_task_id(session: Session, beginning: str) -> str:
    """The whole id of a task.

    Raises:
        CommandError: no task has this beginning, or several have.
    """
    return _whole_uuid(beginning) or _resolved(session, "/v1/tasks", beginning, "task", _task_words)


def find_schedule_id(session: Session, name_or_id: str) -> str:
    """The id of a schedule, by its name, its id, or the beginning of its id.

    Raises:
        CommandError: there is no such schedule, or there are several.
    """
    if whole := _whole_uuid(name_or_id):
        return whole
    named = session.gateway.get("/v1/schedules", name=name_or_id)["items"]
    if named:
        return str(named[0]["id"])
    if is_beginning(name_or_id):
        return _resolved(session, "/v1/schedules", name_or_id, "schedule", lambda found: str(found["name"]))
    raise CommandError(Exit.REFUSED, f"there is no schedule {name_or_id}", "waybill schedules ls lists them.")


def find_key_id(session: Session, beginning: str) -> str:
    """The whole id of an API key.

    Raises:
        CommandError: no key has this beginning, or several have.
    """
    if len(beginning) == _KEY_DIGITS and is_beginning(beginning):
        return beginning
    return _resolved(session, "/v1/keys", beginning, "key", lambda found: str(found["name"]))


def find_group_id(session: Session, beginning: str) -> str:
    """The whole id of a group of dead letters.

    Raises:
        CommandError: no group has this beginning, or several have.
    """
    if len(beginning) == _GROUP_DIGITS and is_beginning(beginning):
        return beginning
    return _resolved(
        session,
        "/v1/dead-letters/groups",
        beginning,
        "group of dead letters",
        lambda found: f"{found['error_type']}: {found['message']}",
    )


def with_whole_group(session: Session, filters: Mapping[str, Any]) -> dict[str, Any]:
    """The filters, with the group's id completed.

    Raises:
        CommandError: no group has this beginning, or several have.
    """
    group = filters.get("group")
    return dict(filters) if group is None else {**filters, "group": find_group_id(session, group)}


def _whole_uuid(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None


def _task_words(task: Any) -> str:
    return f"{task['state']}, {task['about']}"


def _resolved(session: Session, path: str, beginning: str, what: str, words: Any) -> str:
    found = []
    if is_beginning(beginning):
        found = session.gateway.get(path, id=beginning, limit=_MOST_LISTED + 1)["items"]
    if not found:
        raise CommandError(Exit.REFUSED, f"there is no {what} whose id begins with {beginning}")
    if len(found) == 1:
        return str(found[0]["id"])
    listed = [f"{each['id']}  {words(each)}" for each in found[:_MOST_LISTED]]
    more = ["and more"] if len(found) > _MOST_LISTED else []
    many = f"more than {_MOST_LISTED}" if more else len(found)
    raise CommandError(Exit.REFUSED, f"{many} ids begin with {beginning}: name one {what}", *listed, *more)
