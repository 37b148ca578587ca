"""The way from a checked request to an accepted task, which all posting routes share."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from pydantic_core import from_json

from waybill_contracts.privacy import mask_addresses
from waybill_contracts.registry import Kind
from waybill_contracts.states import State
from waybill_contracts.wire import trace_id_of
from waybill_gateway.http import FieldError, Problem
from waybill_gateway.runtime import Resources, kind_in_use
from waybill_gateway.tasks.file_places import places_of
from waybill_gateway.tasks.models import AcceptedTask, Timing, links_of
from waybill_gateway.tasks.post import Post
from waybill_ledger import (
    Accepted,
    AcceptedBefore,
    CallErasedError,
    CompanionRow,
    FilesMissing,
    IdempotentCall,
    KeyReusedError,
    NewTask,
    Submission,
    accept,
    look_up,
    new_task_id,
)
from waybill_worker.observe import FrequentLine

_ACCEPTED: Final = FrequentLine(__name__, "task accepted")


async def submit(
    post: Post,
    kind: str,
    data: Mapping[str, Any],
    posted: Timing,
    *,
    about: str | None = None,
    task_id: str | None = None,
) -> AcceptedTask:
    """Accepts a task: it is durable when this returns.

    Args:
        post: the rest of the request.
        kind: its kind.
        data: valid by the contract of its kind.
        posted: the whole body, by which a repeat of the call is recognised.
        about: the subject of the task, if it is not what the contract says.
        task_id: its id, if it has one already.

    Raises:
        Problem: 400, 409 or 422, for its idempotency key; 422, `send_at` has passed.
    """
    call = post.keyed_call(posted.model_dump_json)
    with post.resources.calls.only(call):
        in_use = await kind_in_use(post.resources.kinds, kind)
        task = new_task(post, in_use, data, posted, about=about, task_id=task_id)
        return await accept_task(post, task, posted, call)


def new_task(
    post: Post,
    kind: Kind,
    data: Mapping[str, Any],
    timing: Timing,
    *,
    version: int | None = None,
    about: str | None = None,
    task_id: str | None = None,
    now: datetime | None = None,
) -> NewTask:
    """A task, not accepted yet, with its sensitive fields sealed.

    Args:
        post: the rest of the request.
        kind: its kind, which services handle.
        data: valid by its contract.
        timing: when it is to begin.
        version: of the contract; None: the newest.
        about: its subject; None: what the contract says, or the person whom it concerns.
        task_id: its id, if it has one already.
        now: by the clock of the ledger; None: it is read.
    """
    resources = post.resources
    now = now or resources.records.now()
    task_id = task_id or new_task_id()
    contract = kind.current if version is None else kind.contracts[version]
    person = contract.person_of(data)
    return NewTask.of(
        kind,
        data,
        resources.keyring,
        id=task_id,
        version=version,
        created_at=now,
        correlation_id=post.request_id or task_id,
        about=mask_addresses(about or contract.about(data) or person or ""),
        person=person and resources.persons.digest(person),
        due_at=timing.due_at(now),
        traceparent=post.traceparent(),
        priority=timing.amqp_priority,
        tenant=post.caller.tenant,
    )


async def accept_task(
    post: Post,
    task: NewTask,
    timing: Timing,
    call: IdempotentCall | None,
    rows: tuple[CompanionRow, ...] = (),
) -> AcceptedTask:
    """Accepts `task`, while its idempotency key is held; for routes that do more than `submit` does.

    Args:
        post: the request, with the headers of its answer.
        task: is accepted.
        timing: when it is to begin.
        call: the request with its idempotency key, if it has one.
        rows: are written together with the task.

    Raises:
        Problem: 422, the idempotency key was used for another content, `send_at` has passed, or a file to
            which the task refers is missing.
    """
    resources = post.resources
    if timing.is_past(task.created_at) and not await is_repeated(resources, call):
        raise send_at_passed()
    acceptance = await resources.records.write(accept, Submission(task, call, rows))
    if isinstance(acceptance, KeyReusedError):
        raise key_reused(acceptance)
    if isinstance(acceptance, FilesMissing):
        raise files_missing(task, acceptance)
    if isinstance(acceptance, AcceptedBefore):
        post.headers["Idempotent-Replayed"] = "true"
    answer = answer_of(post, task, acceptance)
    answer.links.watch = resources.links.path(answer.id, post.caller.key_id, task.created_at)
    post.headers["Location"] = answer.links.self
    return answer


def answer_of(post: Post, task: NewTask, acceptance: Accepted | AcceptedBefore) -> AcceptedTask:
    """The answer to an accepted task, which is logged and published."""
    if isinstance(acceptance, AcceptedBefore):
        return _accepted(acceptance.task_id, acceptance.kind, acceptance.due_at)
    resources = post.resources
    resources.metrics.accepted(task.kind)
    _ACCEPTED.log(
        task_id=task.id,
        kind=task.kind,
        correlation_id=task.correlation_id,
        trace_id=trace_id_of(task.traceparent),
    )
    if acceptance.message is not None:
        resources.relay.publish_soon(acceptance.message, task.created_at)
    return _accepted(task.id, task.kind, task.due_at)


async def is_repeated(resources: Resources, call: IdempotentCall | None) -> bool:
    """Whether a call with this key was answered before."""
    return call is not None and await resources.records.read(partial(look_up, call=call)) is not None


def send_at_passed() -> Problem:
    """The answer to a time that has passed."""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "send_at_passed",
        "send_at is in the past. Leave it out to begin at once.",
        errors=[FieldError(field="send_at", message="is in the past")],
    )


def key_reused(error: KeyReusedError) -> Problem:
    """The answer to a key that was used for other content, or for content that was erased."""
    if isinstance(error, CallErasedError):
        return Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "call_erased",
            "The first call with this Idempotency-Key was answered, and its content has been erased since. "
            "Nothing was done now. Use a new key for a new call.",
        )
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "key_reused",
        "This Idempotency-Key was used for a call with other content. Use a new key for a new call.",
    )


def files_missing(task: NewTask, missing: FilesMissing) -> Problem:
    """The answer to a task that refers to files that are not there, or are another tenant's."""
    message = "there is no such file of yours: it was not uploaded, or has expired"
    # A field that is sealed shows no place.
    places = list(places_of(from_json(task.payload), frozenset(missing.keys))) or [""]
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "no_such_file",
        "The task refers to files that are not there. Upload them first, and use the keys of the answers.",
        errors=[FieldError(field=f"/data{place}", message=message) for place in places],
    )


def _accepted(task_id: str, kind: str, due_at: datetime | None) -> AcceptedTask:
    state = State.PENDING if due_at is None else State.SCHEDULED
    return AcceptedTask(id=task_id, kind=kind, state=state, links=links_of(task_id))
