"""`waybill tasks`: where tasks are, what happened to them, calling them off, erasing what they say."""

from typing import Any
from uuid import UUID

import click

from contracts.states import State
from waybill_cli import erasing
from waybill_cli.exits import Exit
from waybill_cli.listing import list_options, show_listing
from waybill_cli.options import Group
from waybill_cli.session import Session, with_session
from waybill_cli.task_views import TASK_COLUMNS, show_whole_task, task_row
from waybill_cli.times import Moment, age
from waybill_cli.watching import follow_task


@click.group(cls=Group)
def tasks() -> None:
    """Where tasks are, and what happened to them."""


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
@click.option("--service", metavar="NAME", help="Only those that this service has a part of.")
@click.option("--since", type=Moment(), help="Accepted at or after: 30m, 2h, 7d (ago), or ISO 8601.")
@click.option("--until", type=Moment(), help="Accepted before.")
@click.option("-q", metavar="TEXT", help="Part of what it is about, or the beginning of an id.")
@list_options
@with_session
def list_tasks(session: Session, /, *, limit: int, every: bool, **filters: Any) -> None:
    """Lists tasks, the newest first."""
    show_listing(session, "/v1/tasks", TASK_COLUMNS, task_row, limit=limit, every=every, **filters)


@tasks.command("show", epilog="waybill tasks show 01a20797-6d09-71fe-b759-803ec3a459ee")
@click.argument("task_id", type=UUID)
@with_session
def show_task(session: Session, /, task_id: UUID) -> None:
    """Shows a task, its subtasks, and everything that happened to it."""
    task = session.gateway.get(f"/v1/tasks/{task_id}")
    events = session.gateway.get(f"/v1/tasks/{task_id}/timeline")["events"]
    if session.out.as_json:
        session.out.document(task | {"timeline": events})
    else:
        show_whole_task(session.out, task, events)


@tasks.command(
    "watch",
    epilog="waybill tasks watch 01a20797-6d09-71fe-b759-803ec3a459ee\n"
    "waybill tasks watch $ID --timeout 60 && echo done",
)
@click.argument("task_id", type=UUID)
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Give up after so long (exit code 1)."
)
@with_session
def watch_task(session: Session, /, task_id: UUID, timeout: float | None) -> Exit:
    """Follows a task until its outcome; exits with 0 if it is completed, 1 if it is not.

    Ctrl-C ends the watch, not the task.
    """
    state = follow_task(session, str(task_id), timeout)
    return Exit.OK if state is State.COMPLETED else Exit.NO


@tasks.command("cancel", epilog="waybill tasks cancel 01a20797-6d09-71fe-b759-803ec3a459ee --yes")
@click.argument("task_id", type=UUID)
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_session
def cancel_task(session: Session, /, task_id: UUID, *, yes: bool) -> None:
    """Calls a task off, and says what that could still do.

    prevented: no attempt will begin. stopping: the services are told; it ends cancelled, or with what it was
    past stopping. A task that has its outcome is refused (exit code 4).
    """
    if not yes:
        task = session.gateway.get(f"/v1/tasks/{task_id}")
        about = f"{task['kind']}, {task['about']}, {task['state']}, accepted {age(task['created_at'])} ago"
        session.confirm(f"Call off {task_id} ({about})? It cannot be taken back.", yes=yes)
    answer = session.gateway.post(f"/v1/tasks/{task_id}/cancel")
    session.out.result(answer, f"{answer['outcome']}  {task_id}")


@tasks.command(
    "erase",
    epilog="waybill tasks erase 01a20797-6d09-71fe-b759-803ec3a459ee\n"
    "waybill tasks erase $(waybill tasks ls -q crm/contacts/17 --json | jq -r .id) --yes",
)
@click.argument("task_ids", metavar="ID...", type=UUID, nargs=-1, required=True)
@click.option("--cancel", "cancel_open", is_flag=True, help="Also call off those without an outcome.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_session
def erase_tasks(session: Session, /, task_ids: tuple[UUID, ...], *, cancel_open: bool, yes: bool) -> Exit:
    """Erases what tasks say, for good: records and images, of which nobody knows whom they are about.

    They keep their ids, kinds, states and times, and nothing else. Those without an outcome stay whole, and
    the exit code is 1. It needs a key with the scope admin.
    """
    ids = list(dict.fromkeys(map(str, task_ids)))
    named = [session.gateway.get(f"/v1/tasks/{task_id}") for task_id in ids]
    if not session.out.as_json:
        session.out.table(TASK_COLUMNS, map(task_row, named))
    session.confirm(f"Erase what {len(ids)} task(s) say, for good?", yes=yes)
    erasure = erasing.erase_tasks(session, ids, cancel_open=cancel_open)
    return erasing.tell(session, erasure, cancelled=cancel_open)
