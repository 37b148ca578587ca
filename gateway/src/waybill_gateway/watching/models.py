"""What watchers are shown."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel

from waybill_contracts.states import State
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
