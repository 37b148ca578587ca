"""What watchers are shown."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from waybill_contracts.states import State
from waybill_gateway.tasks import ProgressView
from waybill_ledger import Task
from waybill_ledger.following import Change


class ChangeView(BaseModel):
    """One event of a task, as its timeline has it.

    `task_state` is the state of the whole task when the event is sent, which may be that after a later one.
    """

    task_id: str
    kind: str
    task_state: State
    type: str
    at: datetime
    service: str
    attempt: int
    redrive_no: int
    details: dict[str, Any]

    @classmethod
    def of(cls, change: Change) -> Self:
        """The view of an event."""
        return cls(
            task_id=change.task_id,
            kind=change.kind,
            task_state=change.task_state,
            type=change.type,
            at=change.at,
            service=change.service,
            attempt=change.attempt,
            redrive_no=change.redrive_no,
            details=change.details,
        )


class LinkView(BaseModel):
    """What a link shows of its task: nothing of its content, its results and errors."""

    id: str
    kind: str
    state: State
    created_at: datetime
    due_at: datetime | None
    completed_at: datetime | None
    progress: Annotated[
        ProgressView | None, Field(description="Of a part that runs; null: none runs, or reported any.")
    ]

    @classmethod
    def of(cls, task: Task) -> Self:
        """The view of a task."""
        progress = max(task.progress.values(), key=lambda each: each.at, default=None)
        return cls(
            id=task.id,
            kind=task.kind,
            state=task.state,
            created_at=task.created_at,
            due_at=task.due_at,
            completed_at=task.completed_at,
            progress=None if progress is None else ProgressView.model_validate(asdict(progress)),
        )
