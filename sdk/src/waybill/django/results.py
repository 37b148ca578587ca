"""Results of Django's tasks, made of what the ledger knows."""

import builtins
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.utils.module_loading import import_string

from waybill.client import Subtask, Task, Timeline
from waybill.django.framework import TaskError, TaskResult, TaskResultStatus
from waybill_contracts.states import State

#: Name of the value in the result of a subtask.
RETURN_VALUE = "return_value"


def new_result(
    task: Any, id_: str, backend: str, *, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
) -> Any:
    """The result of a task that has not begun.

    Args:
        task: Django's.
        id_: of the result, a UUIDv7.
        backend: alias of the backend.
        args: of the call; none where the result is looked for later.
        kwargs: of the call.
    """
    return TaskResult(
        task=task,
        id=id_,
        status=TaskResultStatus.READY,
        enqueued_at=accepted_at(id_),
        started_at=None,
        last_attempted_at=None,
        finished_at=None,
        args=list(args),
        kwargs=dict(kwargs or {}),
        backend=backend,
        errors=[],
        worker_ids=[],
    )


def result_of(task: Task, timeline: Timeline, backend: str, *, id_: str) -> Any:
    """The result of a task.

    Args:
        task: as the gateway answers.
        timeline: its events.
        backend: alias of the backend.
        id_: of the result: of the task, or of its row in an outbox.
    """
    # One; in a gateway in memory that knows no services, none.
    subtask = next(iter(task.subtasks), None)
    starts = [event.at for event in timeline.events if event.type == "task.started"]
    status = _status(task, has_started=bool(starts))
    result = TaskResult(
        task=import_string(task.about),
        id=id_,
        status=status,
        enqueued_at=accepted_at(id_),
        started_at=starts[0] if starts else None,
        last_attempted_at=starts[-1] if starts else None,
        finished_at=task.completed_at if task.is_ended else None,
        args=[],
        kwargs={},
        backend=backend,
        errors=[] if subtask is None or subtask.error is None else [_error(subtask.error)],
        # One for each attempt: who ran it is in the log.
        worker_ids=[subtask.service] * max(subtask.attempt, len(starts)) if subtask and starts else [],
    )
    if status == TaskResultStatus.SUCCESSFUL:
        # As Django's own backends do: the field is not one of the constructor.
        object.__setattr__(result, "_return_value", _returned(subtask))
    return result


def _returned(subtask: Subtask | None) -> Any:
    return None if subtask is None else (subtask.result or {}).get(RETURN_VALUE)


def accepted_at(task_id: str) -> datetime:
    """When a task was accepted: in its id, a UUIDv7, so that `enqueue` knows it too."""
    return datetime.fromtimestamp((UUID(task_id).int >> 80) / 1000, UTC)


def _status(task: Task, *, has_started: bool) -> Any:
    if task.state == State.COMPLETED:
        return TaskResultStatus.SUCCESSFUL
    if task.is_ended:
        return TaskResultStatus.FAILED
    return TaskResultStatus.RUNNING if has_started else TaskResultStatus.READY


def _error(error: dict[str, Any]) -> Any:
    name = str(error["type"])
    path = f"builtins.{name}" if hasattr(builtins, name) else f"waybill.{name}"
    return TaskError(exception_class_path=path, traceback=str(error["message"]))
