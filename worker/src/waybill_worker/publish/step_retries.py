"""Doing a step until it is done: a broker or database that is away is no reason to lose a message.

What the database refuses for its values it will refuse again: that is raised after a few tries, so that the
message is put before people instead of keeping the process busy for ever.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from waybill_database import Fault, fault_of
from waybill_database.waiting import Wait
from waybill_worker.broker.delivery import Delivery
from waybill_worker.observe.logs import get_logger
from waybill_worker.publish.publisher import PublishError

log = get_logger(__name__)
Result = TypeVar("Result")

#: Seconds between tries, drawn from this range so that not all who wait come back at once.
RETRY_SECONDS: Final = (0.1, 2.0)
#: Tries, one after the other, of a step that the database refuses for its values: two processes may have been
#: in each other's way.
MOST_REFUSALS: Final = 5
#: What a broker or a database that is away makes a step raise.
RETRIED_ERRORS: Final = (PublishError, SQLAlchemyError)


class DeliveryLostError(Exception):
    """The broker will deliver the message again: there is nothing more to do with this copy."""


async def retry_until_success(step: str, action: Callable[[], Awaitable[Result]]) -> Result:
    """Does `action` again until neither broker nor database refuses it.

    Args:
        step: its name, for the log.
        action: what to do; it may happen more than once.

    Raises:
        SQLAlchemyError: the database refuses its values.
    """
    failures = None
    while True:
        try:
            return await action()
        except RETRIED_ERRORS as error:
            failures = failures or _Failures(step)
            failures.add(error)
        await _pause()


async def retry_while_delivered(
    delivery: Delivery, step: str, action: Callable[[], Awaitable[Result]]
) -> Result:
    """Does `action` again as `retry_until_success`, but only while the broker has not taken the message back.

    For steps that the next copy of the message can do as well.

    Raises:
        DeliveryLostError: the broker has taken the message back.
        SQLAlchemyError: the database refuses the values.
    """
    failures = None
    while True:
        try:
            return await action()
        except RETRIED_ERRORS as error:
            failures = failures or _Failures(step)
            failures.add(error)
        if delivery.acknowledger.is_lost:
            raise DeliveryLostError
        await _pause()


class _Failures:
    """The failures of one step."""

    def __init__(self, step: str) -> None:
        self._step = step
        self._wait = Wait()
        self._refusals = 0

    def add(self, error: Exception) -> None:
        """Logs a failure; raises it if the database has refused the values too often in a row."""
        self._refusals = self._refusals + 1 if fault_of(error) is Fault.VALUES else 0
        if self._refusals == MOST_REFUSALS:
            raise error
        if self._wait.should_log():
            log.warning("step failed, doing it again", step=self._step, error=error, once_a_minute=self._step)


async def _pause() -> None:
    await asyncio.sleep(random.uniform(*RETRY_SECONDS))  # noqa: S311 - spreads load, guards nothing
