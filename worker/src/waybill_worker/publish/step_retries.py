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
    return await _repeat(step, action, lambda: False)


async def retry_while_delivered(
    delivery: Delivery, step: str, action: Callable[[], Awaitable[Result]]
) -> Result:
    """The same, as long as the message is ours: for steps that its next copy can do as well.

    Raises:
        DeliveryLostError: meanwhile the broker has taken the message back.
        SQLAlchemyError: as above.
    """
    return await _repeat(step, action, lambda: delivery.acknowledger.is_lost)


async def _repeat(
    step: str, action: Callable[[], Awaitable[Result]], is_pointless: Callable[[], bool]
) -> Result:
    wait, refusals = Wait(), 0
    while True:
        try:
            return await action()
        except (PublishError, SQLAlchemyError) as error:
            refusals = refusals + 1 if fault_of(error) is Fault.VALUES else 0
            if refusals == MOST_REFUSALS:
                raise
            if wait.is_to_be_told():
                log.warning("step failed, doing it again", step=step, error=error, once_a_minute=step)
        if is_pointless():
            raise DeliveryLostError
        await asyncio.sleep(random.uniform(*RETRY_SECONDS))  # noqa: S311 - spreads load, guards nothing
