"""The account: the outcome or state of every accepted task."""

from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query

from waybill_contracts.states import State
from waybill_gateway.auth import CallerDep, GuardedRoute
from waybill_gateway.http import FieldError, Problem, page_or_problem
from waybill_gateway.runtime import ResourcesDep
from waybill_gateway.tasks.models import (
    AccountQuery,
    AccountView,
    Counts,
    UnplacedPage,
    UnplacedTask,
    links_of,
)
from waybill_ledger import Account, Range, Unplaced, take_account

router = APIRouter(tags=["tasks"], route_class=GuardedRoute)


@router.get("/v1/accounting")
async def get_account(
    resources: ResourcesDep, caller: CallerDep, asked: Annotated[AccountQuery, Query()]
) -> AccountView:
    """Accounts for every task that was accepted in a time range.

    Accepted = completed + failed + cancelled + scheduled + pending + running + retrying, in total and in
    each kind. It also lists the tasks that cannot be placed, with the reasons: tasks with a contradictory
    record, and tasks without a report for longer than the reconciler allows. There must be none.
    """
    if asked.since is not None and asked.until is not None and asked.until <= asked.since:
        message = "must be later than since"
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "empty_range",
            "No time lies between since and until.",
            errors=[FieldError(field="until", message=message)],
        )
    wanted = Range(
        resources.records.now(), resources.settings.stall_timeouts, asked.since, asked.until, caller.sees
    )
    account = await page_or_problem(
        resources.records.read(
            partial(take_account, wanted=wanted, limit=asked.limit, cursor=asked.place("accounting"))
        )
    )
    return AccountView(
        since=asked.since,
        until=asked.until,
        balanced=account.is_balanced,
        total=_counts(account, *account.kinds),
        kinds={kind: _counts(account, kind) for kind in sorted(account.accepted)},
        unplaced=UnplacedPage(
            count=account.unplaced_count,
            items=list(map(_unplaced, account.unplaced)),
            next_cursor=asked.continued("accounting", account.next_cursor),
        ),
    )


def _counts(account: Account, *kinds: str) -> Counts:
    return Counts(
        accepted=sum(account.accepted[kind] for kind in kinds),
        pruned=sum(account.pruned.get(kind, 0) for kind in kinds),
        **{state.value: sum(account.kinds[kind][state] for kind in kinds) for state in State},
    )


def _unplaced(task: Unplaced) -> UnplacedTask:
    return UnplacedTask(
        id=task.task_id,
        kind=task.kind,
        state=task.state,
        created_at=task.created_at,
        reasons=list(task.reasons),
        links=links_of(task.task_id),
    )
