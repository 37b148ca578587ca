"""Waiting for the end of a task."""

from typing import Final

from waybill_gateway.auth import Caller, key_ended
from waybill_gateway.following.watch import Over, Sort
from waybill_gateway.following.watches import Watches
from waybill_ledger import Task

#: Longest wait of one call, in seconds: proxies often cut an answer that takes longer.
MOST_WAIT_SECONDS: Final = 60


async def until_ended(watches: Watches, caller: Caller, task_id: str, seconds: float) -> Task | None:
    """The task, as soon as it has ended; or as it is after `seconds`, or when the gateway stops.

    Returns:
        None: the caller may see no such task.

    Raises:
        Problem: 503, too many watch already, or the ledger does not answer; 401, the key has ended.
        SQLAlchemyError: the ledger does not answer.
    """
    with watches.watching(Sort.END, caller, task_id) as watch:
        task = await watches.until_ended(watch, seconds)
    if watch.over is Over.KEY:
        raise key_ended()
    return task
