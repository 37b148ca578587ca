"""Waits for a broker by opening AMQP connections: log lines and open ports come too early."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import aiormq
from aiormq.exceptions import AMQPError

from waybill_testkit.broker.base import BrokerError
from waybill_testkit.broker.management import Management

#: Where AMQP listens unless the URL says otherwise (IANA).
AMQP_PORT = 5672
#: A broker starts in 5 to 10 s; this much on a machine that is busy with other things.
START_SECONDS = 90.0
#: Time limit of one attempt; once the broker is up it takes milliseconds.
TRY_SECONDS = 5.0
#: Between two attempts: short compared with the start, long enough to leave the processor to the broker.
PAUSE_SECONDS = 0.2


def why_not_open(amqp_url: str) -> str | None:
    """Open and close an AMQP connection; None if that worked, else what went wrong."""
    url = urlsplit(amqp_url)

    async def attempt() -> None:
        async with asyncio.timeout(TRY_SECONDS):
            # First without aiormq, which logs each refused connection as an error.
            _, writer = await asyncio.open_connection(url.hostname, url.port or AMQP_PORT)
            writer.close()
            connection = await aiormq.connect(amqp_url)
            await connection.close()

    try:
        # In a thread of its own, so that it also works where an event loop is running already.
        with ThreadPoolExecutor(max_workers=1) as thread:
            thread.submit(lambda: asyncio.run(attempt())).result()
    except (OSError, TimeoutError, AMQPError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def wait_until_open(
    amqp_url: str,
    management: Management,
    ended: Callable[[], str | None],
    log_tail: Callable[[], str],
    limit: float = START_SECONDS,
) -> None:
    """Return when AMQP and the management API answer.

    Args:
        amqp_url: what to open.
        management: must answer too.
        ended: says how the broker's process ended, None while it runs.
        log_tail: the last lines of its log, for the error message.
        limit: seconds after which to give up.

    Raises:
        BrokerError: the broker ended, or the limit passed.
    """
    deadline = time.monotonic() + limit
    while True:
        problem = why_not_open(amqp_url)
        if problem is None and management.answers():
            return
        how_ended = ended()
        if how_ended is not None:
            raise BrokerError(f"RabbitMQ did not start: {how_ended}\n{log_tail()}")
        if time.monotonic() > deadline:
            waited = problem or "its management API does not answer"
            raise BrokerError(f"RabbitMQ is not up after {limit:.0f} s ({waited})\n{log_tail()}")
        time.sleep(PAUSE_SECONDS)
