"""Throttles background work: a pause after each step, in proportion to its duration."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final, Protocol, TypeVar

from sqlalchemy import Connection

from waybill_database import Records

Result = TypeVar("Result")
#: The pause as a multiple of the step: nine tenths of the time are left to others, on any machine.
PAUSE: Final = 9
#: The shortest pause, in seconds.
LEAST_PAUSE: Final = 0.02


class Step(Protocol):
    """A request to work on the next few rows; a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def after(self) -> str:
        """Last row of the step before; empty: begin with the first row."""


class Stepped(Protocol):
    """The result of a step."""

    @property
    def after(self) -> str | None:
        """The row after which the next step begins; None: there are no more rows."""


AnyStep = TypeVar("AnyStep", bound=Step)
AnyStepped = TypeVar("AnyStepped", bound=Stepped)


def pause_since(started: float) -> float:
    """Seconds to pause after a step that began at `started` (`time.monotonic`) and has ended now."""
    return max(LEAST_PAUSE, PAUSE * (time.monotonic() - started))


async def throttled(step: Awaitable[Result]) -> Result:
    """Awaits a step, then pauses."""
    started = time.monotonic()
    result = await step
    await asyncio.sleep(pause_since(started))
    return result


async def scan_in_batches(
    records: Records,
    write: Callable[[Connection, Sequence[AnyStep]], Sequence[AnyStepped]],
    step: AnyStep,
    *,
    relaxed: bool = False,
) -> AsyncIterator[AnyStepped]:
    """Runs one step after another, each in a transaction of its own, until there are no more rows.

    Args:
        records: the database.
        write: runs steps; a batch write for `Records.write`.
        step: the first step.
        relaxed: whether a power cut may undo a step, which is then done again: see `GroupCommit.submit`.

    Yields:
        The result of each step, once it is committed.
    """
    while True:
        stepped = await throttled(records.write(write, step, relaxed=relaxed))
        yield stepped
        if stepped.after is None:
            return
        step = replace(step, after=stepped.after)
