"""From a checked request to an accepted task: the part that all posting routes share."""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Header, Response

from waybill_contracts.kinds.task_event import TaskEvent
from waybill_contracts.privacy.mask import mask_addresses
from waybill_contracts.wire.states import State
from waybill_contracts.wire.trace import known_traceparent, new_traceparent, trace_id_of
from waybill_gateway.http.problems import FieldError, Problem
from waybill_gateway.runtime.resources import Resources
from waybill_gateway.tasks.models import AcceptedTask, Timing, links_of
from waybill_ledger import (
    AcceptedBefore,
    CallErasedError,
    IdempotentCall,
    KeyReusedError,
    NewTask,
    ResetToken,
    Submission,
    accept,
    look_up,
    new_task_id,
)
from waybill_worker.observe.logs import get_logger

log = get_logger(__name__)

#: What a caller may name a request by: it appears in logs and headers.
_REQUEST_ID = re.compile(r"^[\x21-\x7e]{1,128}$")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from, as its task will remember it."""

    request_id: str | None
    #: The caller's, or one of our own.
    traceparent: str


def origin_of(request_id: str | None, traceparent: str | None) -> Origin:
    """The origin that a request's headers tell; what is malformed is left out, and a trace begun then."""
    return Origin(
        request_id if request_id and _REQUEST_ID.match(request_id) else None,
        known_traceparent(traceparent) or new_traceparent(),
    )


async def described_origin(
    x_request_id: Annotated[
        str | None, Header(description="Your name for this request; becomes the task's correlation_id.")
    ] = None,
    traceparent: Annotated[
        str | None, Header(description="W3C Trace Context: the trace that the task becomes part of.")
    ] = None,
) -> Origin:
    """The same, with its headers as FastAPI is to describe them."""
    return origin_of(x_request_id, traceparent)


#: The request's origin, for a route's signature.
OriginDep = Annotated[Origin, Depends(described_origin)]


def new_task(
    resources: Resources,
    event: TaskEvent,
    *,
    timing: Timing,
    origin: Origin,
    tenant: str,
    about: str | None = None,
    task_id: str | None = None,
) -> NewTask:
    """A task for `event`, not accepted yet; what is sensitive in it is sealed.

    Args:
        resources: the keys.
        event: what it is made from.
        timing: when it is to begin.
        origin: where the request comes from.
        tenant: whose it is.
        about: what it concerns, where that is no person.
        task_id: its id, if it has one already.
    """
    now = resources.records.now()
    task_id = task_id or new_task_id()
    return NewTask.of(
        event,
        resources.keyring,
        id=task_id,
        created_at=now,
        correlation_id=origin.request_id or task_id,
        about=mask_addresses(about or event.person or ""),
        person=event.person and resources.persons.digest(event.person),
        due_at=timing.due_at(now),
        traceparent=origin.traceparent,
        priority=timing.amqp_priority,
        tenant=tenant,
    )


async def submit(
    resources: Resources,
    response: Response,
    task: NewTask,
    timing: Timing,
    call: IdempotentCall | None,
    reset_token: ResetToken | None = None,
) -> AcceptedTask:
    """Accepts `task`: once this returns it is safe, whatever happens next.

    Raises:
        Problem: 422, the idempotency key was used for another content, or `send_at` has passed.
    """
    if timing.is_past(task.created_at) and not await _is_repeated(resources, call):
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "send_at_passed",
            "send_at is in the past. Leave it out to begin at once.",
            errors=[FieldError(field="send_at", message="is in the past")],
        )
    acceptance = await resources.records.write(accept, Submission(task, call, reset_token))
    if isinstance(acceptance, KeyReusedError):
        raise key_reused(acceptance)
    if isinstance(acceptance, AcceptedBefore):
        response.headers["Idempotent-Replayed"] = "true"
        return _answer(response, acceptance.task_id, acceptance.kind, acceptance.due_at)
    resources.metrics.accepted(task.kind)
    log.info(
        "task accepted",
        task_id=task.id,
        kind=task.kind,
        correlation_id=task.correlation_id,
        trace_id=trace_id_of(task.traceparent),
    )
    if acceptance.message is not None:
        resources.relay_soon(acceptance.message, task.created_at)
    return _answer(response, task.id, task.kind, task.due_at)


async def _is_repeated(resources: Resources, call: IdempotentCall | None) -> bool:
    return call is not None and await resources.records.read(partial(look_up, call=call)) is not None


def key_reused(error: KeyReusedError) -> Problem:
    """The answer to a key that was used for another content, or for one that nobody knows any more."""
    if isinstance(error, CallErasedError):
        return Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "call_erased",
            "The call that this Idempotency-Key was first used for was answered, and what it held was erased "
            "since. Nothing was done now. Use a new key for a new call.",
        )
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "key_reused",
        "This Idempotency-Key was used for a call with other content. Use a new key for a new call.",
    )


def _answer(response: Response, task_id: str, kind: str, due_at: datetime | None) -> AcceptedTask:
    links = links_of(task_id)
    response.headers["Location"] = links.self
    state = State.PENDING if due_at is None else State.SCHEDULED
    return AcceptedTask(id=task_id, kind=kind, state=state, links=links)
