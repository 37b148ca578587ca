"""Ops alerts: a mail to the operators when a subtask fails for good, accepted like any other task."""

from datetime import datetime

from contracts.events import EmailRequested
from ledger import Failure, NewTask, new_task_id

#: Cut to what the template's parameters allow.
_MAX_MESSAGE_LENGTH = 2000


def alert_for(failure: Failure, *, ops_address: str, public_url: str, now: datetime) -> NewTask | None:
    """The mail about one failure; None where the failure is that of such a mail, which nobody would get."""
    if failure.kind == EmailRequested.KIND and failure.about == ops_address:
        return None
    error = failure.data.error
    event = EmailRequested(
        to=ops_address,
        template="ops_alert",
        params={
            "task_id": failure.task_id,
            "kind": failure.kind,
            "service": failure.data.service,
            "error_type": error.type if error else "unknown",
            "error_message": error.message[:_MAX_MESSAGE_LENGTH] if error else "",
            "attempts": failure.data.attempt,
            "failed_at": failure.at.isoformat(),
            "task_url": f"{public_url.rstrip('/')}/v1/tasks/{failure.task_id}",
        },
    )
    return NewTask(
        id=new_task_id(),
        event=event,
        created_at=now,
        correlation_id=failure.correlation_id,
        about=ops_address,
    )
