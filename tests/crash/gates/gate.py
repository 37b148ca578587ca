"""Gates before and after each step of a process, closed from outside by a file.

The file `armed` in the gate's folder names the point, how many may pass, how many are waited for, and who
closed it: `claim:after 3 4 claim-kill`. Tasks that reach that point after the third wait there, while the
rest of the process goes on; once four wait, the process writes its id to `reached`. Deleting `armed` lets all
of them continue.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from inspect import iscoroutinefunction
from pathlib import Path
from time import monotonic, sleep
from typing import Any

#: Seconds between two checks of the file, on both sides.
POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Armed:
    """Content of the file."""

    #: `step:before` or `step:after`.
    point: str
    passing: int
    standing: int
    by: str


class Gate:
    """The gate as both sides see it: the process that stops, and the one that makes it stop."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._armed = folder / "armed"
        self._reached = folder / "reached"
        self._counting: Armed | None = None
        self._passages = 0

    def arm(self, armed: Armed) -> None:
        """Closes the gate."""
        self._reached.unlink(missing_ok=True)
        written = self._armed.with_suffix(".new")
        written.write_text(f"{armed.point} {armed.passing} {armed.standing} {armed.by}")
        written.rename(self._armed)

    def open(self) -> None:
        """Opens the gate."""
        self._armed.unlink(missing_ok=True)

    def wait_reached(self, seconds: float) -> bool:
        """Whether the expected tasks reach the gate within that time."""
        deadline = monotonic() + seconds
        while not self._reached.exists():
            if monotonic() > deadline:
                return False
            sleep(POLL_SECONDS)
        return True

    async def at(self, point: str) -> None:
        """Called by the process at each point: waits if the gate is closed there."""
        closed = self._closed_at(point)
        while closed and self.armed() == closed:  # noqa: ASYNC110 - what it waits for is another process
            await asyncio.sleep(POLL_SECONDS)

    def at_in_thread(self, point: str) -> None:
        """As `at`, for steps of a plain function."""
        closed = self._closed_at(point)
        while closed and self.armed() == closed:
            sleep(POLL_SECONDS)

    def armed(self) -> Armed | None:
        """Where the gate is closed; None if it is open."""
        try:
            point, passing, standing, by = self._armed.read_text().split()
        except FileNotFoundError:
            return None
        return Armed(point, int(passing), int(standing), by)

    def _closed_at(self, point: str) -> Armed | None:
        armed = self.armed()
        if armed is None or armed.point != point:
            return None
        if armed != self._counting:
            self._counting, self._passages = armed, 0
        self._passages += 1
        if self._passages <= armed.passing:
            return None
        if self._passages - armed.passing >= armed.standing:
            self._mark_reached()
        return armed

    def _mark_reached(self) -> None:
        self._reached.write_text(str(os.getpid()))


def around(
    gate: Gate, step_of: Callable[..., str | None], function: Callable[..., Any]
) -> Callable[..., Any]:
    """`function` with a gate before it and one behind it; `step_of` its arguments names the step, if any."""

    @wraps(function)
    async def stopped(*args: Any, **kwargs: Any) -> Any:
        step = step_of(*args, **kwargs)
        if step is None:
            return await function(*args, **kwargs)
        await gate.at(f"{step}:before")
        result = await function(*args, **kwargs)
        await gate.at(f"{step}:after")
        return result

    @wraps(function)
    def stopped_in_thread(*args: Any, **kwargs: Any) -> Any:
        step = step_of(*args, **kwargs)
        if step is None:
            return function(*args, **kwargs)
        gate.at_in_thread(f"{step}:before")
        result = function(*args, **kwargs)
        gate.at_in_thread(f"{step}:after")
        return result

    return stopped if iscoroutinefunction(function) else stopped_in_thread


def around_each(
    gate: Gate, step_of: Callable[..., str], relay_each: Callable[..., Any]
) -> Callable[..., Any]:
    """`relay_each` with a gate before and behind the publish of each message; only that message waits."""

    def stopped(publisher: Any, messages: Sequence[Any], answered: Callable[[Any, bool], None]) -> set[Any]:
        async def publish(message: Any) -> None:
            step = step_of(publisher, message)
            await gate.at(f"{step}:before")
            confirmed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            relay_each(
                publisher, [message], lambda _message, is_confirmed: confirmed.set_result(is_confirmed)
            )
            await confirmed
            await gate.at(f"{step}:after")
            answered(message, confirmed.result())

        return {asyncio.create_task(publish(message)) for message in messages}

    return stopped
