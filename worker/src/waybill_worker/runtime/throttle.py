"""Work in the background that leaves the machine to others: a pause after each step, in proportion to it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final, Protocol, TypeVar

from sqlalchemy import Connection

from waybill_database import Records

Result = TypeVar("Result")
#: The pause in lengths of the step: nine tenths of the time belong to others, however slow the machine is.
PAUSE: Final = 9
#: The least pause, in seconds.
LEAST_PAUSE: Final = 0.02


class Step(Protocol):
    """A wish to do something about the next few rows; a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def after(self) -> str:
        """Where the last step ended; empty: begin with the first row."""


class Stepped(Protocol):
    """What a step came to."""

    @property
    def after(self) -> str | None:
        """Where the next step begins; None: there is nothing more to look at."""


AnyStep = TypeVar("AnyStep", bound=Step)
AnyStepped = TypeVar("AnyStepped", bound=Stepped)


def pause_since(started: float) -> float:
    """Seconds to pause after a step that began at `started`, by `time.monotonic`, and has ended now."""
    return max(LEAST_PAUSE, PAUSE * (time.monotonic() - started))


async def throttled(step: Awaitable[Result]) -> Result:
    """Takes a step, then pauses."""
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
    """Takes one step after another, each in a transaction of its own, until there is nothing more to look at.

    Args:
        records: where the rows are.
        write: takes steps; a batch write for `Records.write`.
        step: the first one.
        relaxed: what a power cut undoes is only done again: see `GroupCommit.submit`.

    Yields:
        What each step came to, once it is committed.
    """
    while True:
        stepped = await throttled(records.write(write, step, relaxed=relaxed))
        yield stepped
        if stepped.after is None:
            return
        step = replace(step, after=stepped.after)
