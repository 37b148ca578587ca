"""Pruning of finished tasks by hand, step by step."""

from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from typing import Final
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from waybill_contracts.states import State
from waybill_gateway.auth import Actor, GuardedJsonRoute
from waybill_gateway.http import FieldError, Moment, Problem, Truth
from waybill_gateway.runtime import ResourcesDep
from waybill_ledger import PruneStep, prune_tasks, would_prune
from waybill_ledger.retention import LEAST_DAYS_FAILED
from waybill_worker.observe import get_logger
from waybill_worker.runtime import throttled

log = get_logger(__name__)

router = APIRouter(tags=["tasks"], route_class=GuardedJsonRoute)

#: Tasks of one call, so that others do not wait long for it; more in a dry run, which takes no lock.
STEP, DRY_RUN_STEP = 50, 2000
#: Reports about recently ended tasks, and dead letters of failed ones, may still be on their way.
_YOUNGEST: Final = timedelta(hours=1)
_YOUNGEST_FAILED: Final = timedelta(days=LEAST_DAYS_FAILED)


class Finished(StrEnum):
    """The states of tasks that can be pruned."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Pruning(BaseModel):
    """The tasks to prune."""

    model_config = ConfigDict(extra="forbid")

    state: Finished
    ended_before: Moment = Field(
        description=f"At least an hour ago, for failed tasks {LEAST_DAYS_FAILED} days: a dead letter may "
        f"wait so "
        "long for a failure desk that is away."
    )
    after: UUID | None = Field(
        None, description="`after` of the previous step; absent: begin with the oldest task."
    )
    dry_run: Truth = Field(default=False, description="Only count what would be pruned.")


class PruningStep(BaseModel):
    """The result of one step."""

    tasks: int = Field(description="Number of pruned tasks, in a dry run of those that would be.")
    kept: int = Field(
        description="Number of tasks that are old enough, but stay: they have a dead letter that may still "
        "be needed, or a row in the outbox."
    )
    after: str | None = Field(description="Where the next step begins; null: the pruning is complete.")


@router.post(
    "/v1/prunings",
)
async def prune(wanted: Pruning, resources: ResourcesDep, actor: Actor) -> PruningStep:
    """Prunes finished tasks of one state that ended before a time: one short step.

    Repeat the call with `after` until that is null. Each step is complete in itself, so a caller may stop at
    any
    step. Tasks without an outcome are never pruned, nor tasks with a dead letter that is open, under redrive
    or
    can be restored. The account still counts pruned tasks, and the audit trail names the actor.
    """
    now = resources.records.now()
    _require_old_enough(wanted, now)
    step = PruneStep(
        State(wanted.state.value),
        wanted.ended_before,
        now,
        DRY_RUN_STEP if wanted.dry_run else STEP,
        str(wanted.after or ""),
        actor,
    )
    if wanted.dry_run:
        done = await resources.records.read(partial(would_prune, step=step))
    else:
        # Accepts must not wait for it: it has a transaction of its own, and is answered after a pause, so
        # that a caller of step after step leaves time for them.
        done = await throttled(resources.records.write_apart(prune_tasks, step, relaxed=True))
        if done.tasks:
            log.info("pruned tasks by hand", tasks=done.tasks, state=wanted.state.value, actor=actor)
    return PruningStep(tasks=done.tasks, kept=done.kept, after=done.after)


def _require_old_enough(wanted: Pruning, now: datetime) -> None:
    if wanted.state is Finished.FAILED and wanted.ended_before > now - _YOUNGEST_FAILED:
        raise _too_young(
            f"Tasks that failed within the last {LEAST_DAYS_FAILED} days stay: their dead letters may still "
            f"be on "
            "the way to the failure desk.",
            f"is less than {LEAST_DAYS_FAILED} days ago",
        )
    if wanted.ended_before > now - _YOUNGEST:
        raise _too_young(
            "Tasks that ended within the last hour stay: reports about them may still arrive.",
            "is less than an hour ago",
        )


def _too_young(detail: str, message: str) -> Problem:
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "too_young",
        detail,
        errors=[FieldError(field="ended_before", message=message)],
    )
