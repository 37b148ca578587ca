"""Forgetting finished tasks by hand, a step at a time."""

from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from typing import Final
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from waybill_contracts.wire.states import State
from waybill_gateway.auth.actor import Actor
from waybill_gateway.auth.guarded_route import GuardedJsonRoute
from waybill_gateway.http.fields import Moment, Truth
from waybill_gateway.http.problems import FieldError, Problem
from waybill_gateway.runtime.resources import ResourcesDep
from waybill_ledger import PruneStep, prune_tasks, would_prune
from waybill_ledger.retention.pruning import LEAST_DAYS_FAILED
from waybill_worker.observe.logs import get_logger
from waybill_worker.runtime.throttle import throttled

log = get_logger(__name__)

router = APIRouter(tags=["tasks"], route_class=GuardedJsonRoute)

#: Tasks that one call looks at: others wait no longer than that takes. A look alone takes no lock.
STEP, LOOK_STEP = 50, 2000
#: What ended just now may still be told of; and the letter of what failed may not have come in.
_YOUNGEST: Final = timedelta(hours=1)
_YOUNGEST_FAILED: Final = timedelta(days=LEAST_DAYS_FAILED)


class Finished(StrEnum):
    """The states of tasks that can be forgotten."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Pruning(BaseModel):
    """Which tasks are to be forgotten."""

    model_config = ConfigDict(extra="forbid")

    state: Finished
    ended_before: Moment = Field(
        description=f"At least an hour ago, for failed tasks {LEAST_DAYS_FAILED} days: so long a dead letter "
        "may wait for a failure desk that is away."
    )
    after: UUID | None = Field(None, description="`after` of the step before; none: begin with the oldest.")
    dry_run: Truth = Field(default=False, description="Only tells what would be forgotten.")


class PruningStep(BaseModel):
    """What one step came to."""

    tasks: int = Field(description="How many were forgotten, or would be.")
    kept: int = Field(
        description="How many are old enough and stay: a dead letter may still be wanted, or something of "
        "them is in the outbox."
    )
    after: str | None = Field(description="Where the next step begins; null: there is nothing more.")


@router.post(
    "/v1/prunings",
)
async def prune(wanted: Pruning, resources: ResourcesDep, actor: Actor) -> PruningStep:
    """Forgets finished tasks of one state that ended before a time: one short step of it.

    Repeat it with `after` until that is null. Each step is whole by itself, so a caller may stop anywhere.
    Tasks without an outcome are never forgotten, nor those with a dead letter that is open, under redrive or
    can be restored. The account counts forgotten tasks on, and the audit trail tells who asked for it.
    """
    now = resources.records.now()
    _require_old_enough(wanted, now)
    step = PruneStep(
        State(wanted.state.value),
        wanted.ended_before,
        now,
        LOOK_STEP if wanted.dry_run else STEP,
        str(wanted.after or ""),
        actor,
    )
    if wanted.dry_run:
        done = await resources.records.read(partial(would_prune, step=step))
    else:
        # Accepts are not to wait for it: it has a transaction of its own, and is answered after the pause, so
        # that whoever asks for one step after the other leaves time.
        done = await throttled(resources.records.write_apart(prune_tasks, step, relaxed=True))
        if done.tasks:
            log.info("forgot tasks by hand", tasks=done.tasks, state=wanted.state.value, actor=actor)
    return PruningStep(tasks=done.tasks, kept=done.kept, after=done.after)


def _require_old_enough(wanted: Pruning, now: datetime) -> None:
    if wanted.state is Finished.FAILED and wanted.ended_before > now - _YOUNGEST_FAILED:
        raise _too_young(
            f"What failed within the last {LEAST_DAYS_FAILED} days is kept: its dead letter may still be on "
            "its way to the failure desk.",
            f"is less than {LEAST_DAYS_FAILED} days ago",
        )
    if wanted.ended_before > now - _YOUNGEST:
        raise _too_young(
            "What ended within the last hour is kept: it may still be told of.", "is less than an hour ago"
        )


def _too_young(detail: str, message: str) -> Problem:
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "too_young",
        detail,
        errors=[FieldError(field="ended_before", message=message)],
    )
