"""Following a task by its events, and what has none by polling; the gateway may be away for a moment."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Final, TypeVar

from waybill_cli.command_line import CommandError, Exit, Unreachable
from waybill_cli.output import Output, event_line
from waybill_cli.session import Session
from waybill_contracts.states import State

_T = TypeVar("_T")

#: Pause between two polls.
POLL_SECONDS: Final = 0.5
#: How long the gateway may be away before the watch is given up: longer than a restart takes.
OUTAGE_SECONDS: Final = 60.0


class OutageTolerance:
    """Polls, and tolerates a gateway that answered before and is away for a moment."""

    def __init__(self, out: Output, seconds: float = OUTAGE_SECONDS) -> None:
        self._out = out
        self._seconds = seconds
        self._away_since: float | None = None
        self._was_there = False

    def ask(self, question: Callable[[], _T]) -> _T | None:
        """The answer, or None if there is none now.

        Raises:
            Unreachable: the gateway never answered, or has been away for too long.
        """
        try:
            answer = question()
        except Unreachable as away:
            now = time.monotonic()
            if self._away_since is None:
                self._away_since = now
                if self._was_there:
                    self._out.remark(f"{away.message}; trying again")
            if not self._was_there or now - self._away_since > self._seconds:
                raise
            return None
        self._was_there, self._away_since = True, None
        return answer


def follow_task(session: Session, task_id: str, timeout: float | None) -> State:
    """Prints what happens to a task, as it happens, until it has its outcome.

    Returns:
        The outcome.

    Raises:
        CommandError: there was none within `timeout` seconds.
    """
    # The stream begins with what services report.
    for event in session.gateway.get(f"/v1/tasks/{task_id}/timeline")["events"][:1]:
        session.out.result(event, event_line(event))
    ends = inf if timeout is None else time.monotonic() + timeout
    while True:
        left = None if timeout is None else max(ends - time.monotonic(), 0)
        asyncio.run(_print_events(session, task_id, left))
        # Also if the time is over: it may have ended at the last moment, or before the watch began.
        task = session.gateway.get(f"/v1/tasks/{task_id}")
        state = State(task["state"])
        if state.is_terminal:
            session.out.result(task, f"{task_id} is {state}")
            return state
        # Before that, it was redriven when it had just ended.
        if time.monotonic() >= ends:
            raise CommandError(Exit.NO, f"{task_id} has no outcome after {timeout:g} s; it continues")


async def _print_events(session: Session, task_id: str, seconds: float | None) -> None:
    """Prints events until the last one, or until the time is over."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for event in session.gateway.events(task_id, outage=OUTAGE_SECONDS):
                told = event.model_dump(mode="json")
                session.out.result(told, event_line(told))
