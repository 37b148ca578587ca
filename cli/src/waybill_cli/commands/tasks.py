"""`waybill tasks`: submits tasks; their state, history and files; cancellation, erasure of their contents."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from waybill_cli.actions import (
    follow_task,
    reason_of,
    report_erasure,
    reveal_options,
    revealed,
    run_task_erasure,
)
from waybill_cli.command_line import CommandError, Exit, Group
from waybill_cli.output import TASK_COLUMNS, Moment, age, show_edited, show_whole_task, task_row
from waybill_cli.session import Id, Session, find_task_id, list_options, show_listing, with_session
from waybill_contracts.states import State

_FILE_COLUMNS: Final = ("NAME", "SERVICE", "BYTES", "TYPE")


@click.group(cls=Group)
def tasks() -> None:
    """Submit tasks; their state, history and files; cancel, erase."""


@tasks.command(
    "submit",
    epilog='waybill tasks submit invoice.requested \'{"order_id": "17"}\'\n'
    "waybill tasks submit image.scanned - --key scan-17 < scan.json",
)
@click.argument("kind", metavar="KIND")
@click.argument("data", metavar="DATA|-", type=click.UNPROCESSED)
@click.option("--key", metavar="TEXT", help="Idempotency key: a repeat with it makes no second task.")
@with_session
def submit_task(session: Session, /, *, kind: str, data: str, key: str | None) -> None:
    """Submits a task, and prints its id.

    DATA is its data as a JSON object, checked by the contract of the kind; `-` reads it from stdin.
    """
    text = sys.stdin.read() if data == "-" else data
    try:
        value = json.loads(text)
    except ValueError as error:
        raise CommandError(Exit.USAGE, f"DATA is not JSON: {error}") from error
    answer = session.gateway.post("/v1/tasks", {"kind": kind, "data": value}, key=key)
    session.out.result(answer, answer["id"])


@tasks.command(
    "ls",
    epilog="waybill tasks ls --state retrying\n"
    "waybill tasks ls -q ada@example.com --since 7d\n"
    "waybill tasks ls --state failed --all --json | jq -r .id",
)
@click.option(
    "--state", type=click.Choice([state.value for state in State]), help="Only those in this state."
)
@click.option("--kind", metavar="KIND", help="Only this kind, for example email.requested.")
@click.option("--service", metavar="NAME", help="Only those with a subtask of this service.")
@click.option("--parent", metavar="ID", help="Only those that this task has spawned.")
@click.option("--since", type=Moment(), help="Accepted at or after: 30m, 2h, 7d (ago), or ISO 8601.")
@click.option("--until", type=Moment(), help="Accepted before.")
@click.option("-q", metavar="TEXT", help="Part of the ABOUT column, or the beginning of an id.")
@list_options
@with_session
def list_tasks(session: Session, /, *, limit: int, every: bool, **filters: Any) -> None:
    """Lists tasks, the newest first."""
    show_listing(session, "/v1/tasks", TASK_COLUMNS, task_row, limit=limit, every=every, **filters)


@tasks.command(
    "show",
    epilog="waybill tasks show 01a20797-6d09-71fe\n"
    "waybill tasks show 01a20797-6d09-71fe --reveal --reason 'ticket 7'",
)
@click.argument("beginning", metavar="ID", type=Id())
@reveal_options
@with_session
def show_task(session: Session, /, beginning: str, *, reveal: bool, reason: str | None) -> None:
    """Shows a task, its subtasks and its timeline.

    --reveal also shows its payload in clear; who saw it, and why, is audited.
    """
    because = reason_of(reveal=reveal, reason=reason)
    task_id = find_task_id(session, beginning)
    task = session.gateway.get(f"/v1/tasks/{task_id}")
    events = session.gateway.get(f"/v1/tasks/{task_id}/timeline")["events"]
    seen = None if because is None else revealed(session, f"/v1/tasks/{task_id}", because)
    if session.out.as_json:
        session.out.document(task | {"timeline": events} | ({} if seen is None else {"revealed": seen}))
        return
    show_whole_task(session.out, task, events)
    if seen is not None:
        session.out.line("")
        show_edited(session.out, "payload", seen)
        for service, edited in seen["edited"].items():
            session.out.line("")
            show_edited(session.out, f"edited at the failure desk for {service}", edited)


@tasks.command(
    "watch",
    epilog="waybill tasks watch 01a20797-6d09-71fe-b759-803ec3a459ee\n"
    "waybill tasks watch $ID --timeout 60 && echo done",
)
@click.argument("beginning", metavar="ID", type=Id())
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Give up after this time (exit code 1).",
)
@with_session
def watch_task(session: Session, /, beginning: str, timeout: float | None) -> Exit:
    """Follows a task until its outcome; exits with 0 if it is completed, 1 if not.

    Ctrl-C ends the watch, not the task.
    """
    state = follow_task(session, find_task_id(session, beginning), timeout)
    return Exit.OK if state is State.COMPLETED else Exit.NO


@tasks.command("files", epilog="waybill tasks files 01a20797-6d09-71fe")
@click.argument("beginning", metavar="ID", type=Id())
@with_session
def list_files(session: Session, /, beginning: str) -> None:
    """Lists the files that services have made for a task."""
    found = session.gateway.get(f"/v1/tasks/{find_task_id(session, beginning)}/files")["items"]
    if session.out.as_json:
        for file in found:
            session.out.document(file)
        return
    rows = ((file["name"], file["service"], file["size_bytes"], file["content_type"]) for file in found)
    session.out.table(_FILE_COLUMNS, rows)


@tasks.command(
    "download",
    epilog="waybill tasks download 01a20797-6d09-71fe invoice.pdf\n"
    "waybill tasks download 01a20797-6d09-71fe invoice.txt --output - | less",
)
@click.argument("beginning", metavar="ID", type=Id())
@click.argument("name")
@click.option("--service", metavar="NAME", help="Which service's, if several have made a file of this name.")
@click.option("--output", metavar="FILE", help="Where to write it; `-`: stdout. [default: its name, here]")
@with_session
def download_file(
    session: Session, /, beginning: str, name: str, *, service: str | None, output: str | None
) -> None:
    """Downloads a file that a service has made for a task."""
    task_id = find_task_id(session, beginning)
    if output == "-":
        session.gateway.download(task_id, name, sys.stdout.buffer, service)
        return
    target = Path(output or Path(name).name)
    try:
        session.gateway.download(task_id, name, target, service)
    except OSError as error:
        raise CommandError(Exit.USAGE, f"{target} cannot be written: {error.strerror}") from error
    session.out.remark(f"written to {target}")


@tasks.command("cancel", epilog="waybill tasks cancel 01a20797-6d09-71fe-b759-803ec3a459ee --yes")
@click.argument("beginning", metavar="ID", type=Id())
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_session
def cancel_task(session: Session, /, beginning: str, *, yes: bool) -> None:
    """Cancels a task, and reports what that can still prevent.

    prevented: no attempt will begin. stopping: the services are notified; the task ends cancelled, or with
    its outcome if it was too late. For a task with an outcome the call is refused (exit code 4).
    """
    task_id = find_task_id(session, beginning)
    if not yes:
        task = session.gateway.get(f"/v1/tasks/{task_id}")
        if State(task["state"]).is_terminal:
            raise CommandError(
                Exit.REFUSED, f"task {task_id} is {task['state']} already: nothing was changed"
            )
        about = f"{task['kind']}, {task['about']}, {task['state']}, accepted {age(task['created_at'])} ago"
        session.confirm(f"Cancel {task_id} ({about})? This cannot be undone.", yes=yes)
    answer = session.gateway.post(f"/v1/tasks/{task_id}/cancel")
    session.out.result(answer, f"{answer['outcome']}  {task_id}")


@tasks.command(
    "erase",
    epilog="waybill tasks erase 01a20797-6d09-71fe-b759-803ec3a459ee\n"
    "waybill tasks erase --yes \\\n"
    "    $(waybill tasks ls -q crm/contacts/17 --json | jq -r .id)",
)
@click.argument("beginnings", metavar="ID...", type=Id(), nargs=-1, required=True)
@click.option("--cancel", "cancel_open", is_flag=True, help="Also cancel those without an outcome.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_session
def erase_tasks(session: Session, /, beginnings: tuple[str, ...], *, cancel_open: bool, yes: bool) -> Exit:
    """Erases the contents of tasks, for good; for kinds whose contract marks no person.

    The tasks keep only their ids, kinds, states and times. Those without an outcome are not erased, and the
    exit code is 1. Needs a key with the scope admin.
    """
    task_ids = list(dict.fromkeys(find_task_id(session, each) for each in beginnings))
    named = [session.gateway.get(f"/v1/tasks/{task_id}") for task_id in task_ids]
    if not session.out.as_json:
        session.out.table(TASK_COLUMNS, map(task_row, named))
    if any(_can_erase(task, cancel_open=cancel_open) for task in named):
        session.confirm(f"Erase the contents of {len(task_ids)} task(s), for good?", yes=yes)
    # Where nothing can be erased, the answers of the steps say why.
    erasure = run_task_erasure(session, task_ids, cancel_open=cancel_open)
    return report_erasure(session, erasure, cancelled=cancel_open)


def _can_erase(task: Mapping[str, Any], *, cancel_open: bool) -> bool:
    """Whether an erasure would change the task."""
    return task.get("erased_at") is None and (cancel_open or State(task["state"]).is_terminal)
