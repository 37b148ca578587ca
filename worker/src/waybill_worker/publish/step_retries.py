"""Repeats a step while broker or database are away, so that no message is lost.

When the database refuses the values of a step, it will refuse them again: after a few tries the error is
raised, so that the message goes to the people at the failure desk instead of being tried for ever.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from waybill_database import Fault, Wait, fault_of
from waybill_worker.broker import Delivery
from waybill_worker.observe import get_logger
from waybill_worker.publish.publisher import PublishError

log = get_logger(__name__)
Result = TypeVar("Result")

#: Seconds between tries, random in this range so that not all come back at once.
RETRY_SECONDS: Final = (0.1, 2.0)
#: Tries in a row of a step whose values the database refuses: two processes may have been in conflict.
MOST_REFUSALS: Final = 5
#: Errors of a step while broker or database are away.
RETRIED_ERRORS: Final = (PublishError, SQLAlchemyError)


class DeliveryLostError(Exception):
    """The broker will deliver the message again: this copy is done."""


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
