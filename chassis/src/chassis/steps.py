"""Doing a step until it is done: a broker or database that is away is no reason to lose a message."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from chassis.delivery import Delivery
from chassis.logs import get_logger
from chassis.publisher import PublishError

log = get_logger(__name__)
Result = TypeVar("Result")

#: Seconds between tries, drawn from this range so that not all who wait come back at once.
RETRY_SECONDS: Final = (0.1, 2.0)


class DeliveryLostError(Exception):
    """The broker will deliver the message again: there is nothing more to do with this copy."""


async def surely(delivery: Delivery | None, step: str, action: Callable[[], Awaitable[Result]]) -> Result:
    """Does `action` again until neither broker nor database refuses it.

    Args:
        delivery: the message that it is done for; None for what must be done whether or not it comes again.
        step: its name, for the log.
        action: what to do; it may happen more than once.

    Raises:
        DeliveryLostError: meanwhile the broker has taken the message back; its next copy takes over.
    """
    while True:
        try:
            return await action()
        except (PublishError, SQLAlchemyError) as error:
            log.warning("step failed, doing it again", step=step, error=str(error))
        if delivery is not None and delivery.acknowledger.is_lost:
            raise DeliveryLostError
        await asyncio.sleep(random.uniform(*RETRY_SECONDS))  # noqa: S311 - spreads load, guards nothing
