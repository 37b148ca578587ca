"""Who may use a link: anybody who has it, until it or its key ends, and not too often."""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final

from aiolimiter import AsyncLimiter
from cachetools import LRUCache
from fastapi import Depends, Request

from waybill_gateway.auth import Authenticator, Caller, too_often
from waybill_gateway.following import Over, Sort, Watch, Watches, WatchesDep
from waybill_gateway.http import Problem
from waybill_gateway.runtime import Resources, ResourcesDep, WatchLink
from waybill_ledger import Task

#: Requests a second by the links of one task, and at once.
RATE, BURST = 5, 20
#: Watches at once by the links of one task: some browsers, and not all that a gateway has room for.
MOST_WATCHES: Final = 10
#: Tasks whose requests are counted.
_MOST_COUNTED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Linked:
    """A request by a valid link."""

    link: WatchLink
    #: Stands for the key with which the link was made.
    caller: Caller
    task: Task
    resources: Resources
    watches: Watches

    def watched(self, held: ExitStack) -> Watch:
        """A watch of the task, until `held` is closed or the link expires.

        Raises:
            Problem: 503, too many watch already.
        """
        self.watches.require_few(self.task.id, MOST_WATCHES)
        watch = held.enter_context(self.watches.watching(Sort.LINK, self.caller, self.task.id))
        left = self.link.expires - self.resources.records.now().timestamp()
        expiry = asyncio.get_running_loop().call_later(left, watch.end, Over.LINK)
        held.callback(expiry.cancel)
        return watch


async def _linked(token: str, request: Request, resources: ResourcesDep, watches: WatchesDep) -> Linked:
    """The task of a token.

    Raises:
        Problem: 404, 410 or 429, the token opens nothing now.
        SQLAlchemyError: the ledger did not answer.
    """
    link = resources.links.read(token)
    if link is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "no_such_link",
            "This is not a link of this installation, or not a whole one.",
        )
    await _count(request, link)
    is_over = link.expires <= resources.records.now().timestamp()
    authenticator: Authenticator = request.app.state.authenticator
    if is_over or not await authenticator.is_good(link.key_id):
        raise link_expired()
    task = await watches.task(link.task_id, None)
    if task is None:
        raise link_expired()
    caller = Caller(None, task.tenant, is_admin=False, key_id=link.key_id)
    return Linked(link, caller, task, resources, watches)


def link_expired() -> Problem:
    """The answer to a link that was valid once."""
    return Problem(
        HTTPStatus.GONE,
        "link_expired",
        "This link has expired, its key has ended, or its task was pruned. Ask the application for another.",
    )


async def _count(request: Request, link: WatchLink) -> None:
    limiters: LRUCache[str, AsyncLimiter] = request.app.state.link_limiters
    limiter = limiters.get(link.task_id)
    if limiter is None:
        limiter = limiters[link.task_id] = AsyncLimiter(BURST, BURST / RATE)
    if not limiter.has_capacity():
        raise too_often(RATE, BURST)
    await limiter.acquire()  # at once: there is capacity


def link_limiters() -> "LRUCache[str, AsyncLimiter]":
    """The counts of requests by links, by task."""
    return LRUCache(_MOST_COUNTED)


#: A request by a valid link, for a route's signature.
LinkedDep = Annotated[Linked, Depends(_linked)]
