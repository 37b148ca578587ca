"""`waybill tasks`: where tasks are, what happened to them, calling them off, erasing what they say."""

from collections.abc import Mapping
from typing import Any

import click

from waybill_cli.actions import erase as erasing
from waybill_cli.actions.reveal import reason_of, reveal_options, revealed
from waybill_cli.actions.watch import follow_task
from waybill_cli.output.letter_views import show_edited
from waybill_cli.output.task_views import TASK_COLUMNS, show_whole_task, task_row
from waybill_cli.output.times import Moment, age
from waybill_cli.session import ids
from waybill_cli.session.exits import CommandError, Exit
from waybill_cli.session.ids import Id
from waybill_cli.session.listing import list_options, show_listing
from waybill_cli.session.options import Group
from waybill_cli.session.session import Session, with_session
from waybill_contracts.wire.states import State


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


@tasks.command(
    "show",
    epilog="waybill tasks show 01a20797-6d09-71fe\n"
    "waybill tasks show 01a20797-6d09-71fe --reveal --reason 'ticket 7'",
)
@click.argument("beginning", metavar="ID", type=Id())
@reveal_options
@with_session
def show_task(session: Session, /, beginning: str, *, reveal: bool, reason: str | None) -> None:
    """Shows a task, its subtasks, and everything that happened to it.

    --reveal also shows what it was accepted with; who saw it, and why, is written down.
    """
    because = reason_of(reveal=reveal, reason=reason)
    task_id = ids.task_id(session, beginning)
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
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Give up after so long (exit code 1)."
)
@with_session
def watch_task(session: Session, /, beginning: str, timeout: float | None) -> Exit:
    """Follows a task until its outcome; exits with 0 if it is completed, 1 if it is not.

    Ctrl-C ends the watch, not the task.
    """
    state = follow_task(session, ids.task_id(session, beginning), timeout)
    return Exit.OK if state is State.COMPLETED else Exit.NO


@tasks.command("cancel", epilog="waybill tasks cancel 01a20797-6d09-71fe-b759-803ec3a459ee --yes")
@click.argument("beginning", metavar="ID", type=Id())
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_session
def cancel_task(session: Session, /, beginning: str, *, yes: bool) -> None:
    """Calls a task off, and says what that could still do.

    prevented: no attempt will begin. stopping: the services are told; it ends cancelled, or with what it was
    past stopping. A task that has its outcome is refused (exit code 4).
    """
    task_id = ids.task_id(session, beginning)
    if not yes:
        task = session.gateway.get(f"/v1/tasks/{task_id}")
        if State(task["state"]).is_terminal:
            told = f"task {task_id} is {task['state']} already: nothing was changed"
            raise CommandError(Exit.REFUSED, told)
        about = f"{task['kind']}, {task['about']}, {task['state']}, accepted {age(task['created_at'])} ago"
        session.confirm(f"Call off {task_id} ({about})? It cannot be taken back.", yes=yes)
    answer = session.gateway.post(f"/v1/tasks/{task_id}/cancel")
    session.out.result(answer, f"{answer['outcome']}  {task_id}")


@tasks.command(
    "erase",
    epilog="waybill tasks erase 01a20797-6d09-71fe-b759-803ec3a459ee\n"
    "waybill tasks erase --yes \\\n"
    "    $(waybill tasks ls -q crm/contacts/17 --json | jq -r .id)",
)
@click.argument("beginnings", metavar="ID...", type=Id(), nargs=-1, required=True)
@click.option("--cancel", "cancel_open", is_flag=True, help="Also call off those without an outcome.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_session
def erase_tasks(session: Session, /, beginnings: tuple[str, ...], *, cancel_open: bool, yes: bool) -> Exit:
    """Erases what tasks say, for good: records and images, of which nobody knows whom they are about.

    They keep their ids, kinds, states and times, and nothing else. Those without an outcome stay whole, and
    the exit code is 1. It needs a key with the scope admin.
    """
    task_ids = list(dict.fromkeys(ids.task_id(session, each) for each in beginnings))
    named = [session.gateway.get(f"/v1/tasks/{task_id}") for task_id in task_ids]
    if not session.out.as_json:
        session.out.table(TASK_COLUMNS, map(task_row, named))
    if any(_can_erase(task, cancel_open=cancel_open) for task in named):
        session.confirm(f"Erase what {len(task_ids)} task(s) say, for good?", yes=yes)
    # Where nothing can be erased the steps tell why.
    erasure = erasing.erase_tasks(session, task_ids, cancel_open=cancel_open)
    return erasing.tell(session, erasure, cancelled=cancel_open)


def _can_erase(task: Mapping[str, Any], *, cancel_open: bool) -> bool:
    """Whether an erasure would change it."""
    return task.get("erased_at") is None and (cancel_open or State(task["state"]).is_terminal)
