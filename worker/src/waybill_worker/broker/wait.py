"""The wait for the broker: it is away, refuses this process, or has no topology yet.

The first and the last pass by themselves. A refusal (password, virtual host, permissions, another queue of
that name) must be corrected by people, so it has a log line of its own, and health shows it after a while;
the process tries on, more slowly, because the correction may be made at the broker.
"""

import asyncio
import random
import traceback
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Final, TypeVar

from aio_pika.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    IncompatibleProtocolError,
    InvalidFrameError,
    ProbableAuthenticationError,
)
from aiormq.exceptions import ChannelAccessRefused, ConnectionNotAllowed

from waybill_worker.observe import get_logger
from waybill_worker.runtime import distrust

log = get_logger(__name__)

T = TypeVar("T")

#: Errors of connecting to a broker that is away.
UNREACHABLE: Final = (OSError, AMQPError, asyncio.TimeoutError)
#: Errors of a connection that is lost during a call, where the client raises RuntimeError too.
GOING_AWAY: Final = (*UNREACHABLE, RuntimeError)
#: Seconds between attempts to reach the broker, random for each process so that not all come at once.
RECONNECT_SECONDS: Final = (0.5, 1.5)
#: Seconds between checks whether the topology has been declared.
DECLARED_SECONDS: Final = 0.5
#: Seconds between attempts at a broker that refuses this process.
REFUSED_SECONDS: Final = 5.0
#: Seconds that one attempt may take.
ATTEMPT_SECONDS: Final = 30.0
#: Seconds after which a line is logged again, except for a refusal, which is logged once.
REPEAT_SECONDS: Final = 60.0
#: Seconds that a refusal must last to be reported: a broker that starts refuses a virtual host for a moment.
REFUSAL_REPORT_SECONDS: Final = 3.0
#: Seconds that a refusal may last before the process counts as unhealthy: a broker that is being set up may
#: get its users late.
REFUSAL_GRACE_SECONDS: Final = 60.0
_VIRTUAL_HOST: Final = (
    "the virtual host is missing, closed to this user, or has all the connections that it may have: "
    "correct WAYBILL_AMQP_URL, or the broker"
)
#: How people correct an error, by its type.
_REFUSALS: Final[Mapping[tuple[type[Exception], ...], str]] = {
    (
        AuthenticationError,
        ProbableAuthenticationError,
    ): "user or password are wrong: correct WAYBILL_AMQP_URL, or the broker's user",
    (ConnectionNotAllowed,): _VIRTUAL_HOST,
    (IncompatibleProtocolError,): "what listens there is no RabbitMQ: correct WAYBILL_AMQP_URL",
    (ChannelAccessRefused,): (
        "the user lacks a permission: import those that `python -m waybill_deploy secrets` makes; "
        "RabbitMQ 4.2.6 and 4.3.0 ask for too much, use a later one"
    ),
    (ChannelPreconditionFailed,): (
        "the broker has an exchange or a queue of that name with other arguments: delete it once it is empty"
    ),
}


class BrokerWait:
    """The wait of one process for the broker, and its reason."""

    def __init__(self) -> None:
        #: The line that was logged last, and when.
        self._reported: str | None = None
        self._reported_at = 0.0
        self._refusal: str | None = None
        self._refused_since = 0.0
        self._is_away = False

    async def until(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Repeats `attempt` until it succeeds, and returns what it returned.

        Raises:
            aio_pika.exceptions.AMQPError: the broker is there, and one side does not trust the other's
                certificate (`waybill_worker.runtime.tls`).
        """
        while True:
            try:
                async with asyncio.timeout(ATTEMPT_SECONDS):
                    result = await attempt()
            except GOING_AWAY as error:
                _end_if_cancelled()  # also where the client turned it into another error
                pause = self._failed(error)
                # The client closes a failed connection when nothing refers to it any more; these frames do.
                traceback.clear_frames(error.__traceback__)
            except asyncio.CancelledError:
                _end_if_cancelled()
                # As in `Publisher.publish`: a stuck connection cancels what waits for it.
                pause = self._failed(ConnectionError("the connection is stuck"))
            else:
                self._reported = self._refusal = None
                self._is_away = False
                return result
            await asyncio.sleep(pause)

    @property
    def is_away(self) -> bool:
        """Whether the last attempt failed for another reason than a refusal."""
        return self._is_away

    @property
    def lasting_refusal(self) -> str | None:
        """Why the broker refuses this process, once it has done so for longer than the grace time."""
        return self._refusal if self._refused_for() >= REFUSAL_GRACE_SECONDS else None

    def _failed(self, error: Exception) -> float:
        """Logs the failure; returns the seconds until the next attempt."""
        if distrust(error) is not None:
            raise error
        reason = refusal(error)
        self._is_away = reason is None
        if reason is not None:
            return self._refused(reason)
        self._refusal = None
        missing = isinstance(error, ChannelNotFoundEntity)
        words = "waiting for the topology" if missing else "the broker cannot be reached, trying again"
        if words != self._reported or monotonic() - self._reported_at >= REPEAT_SECONDS:
            (log.info if missing else log.warning)(words, error=error)
            self._reported, self._reported_at = words, monotonic()
        return DECLARED_SECONDS if missing else _soon()

    def _refused(self, reason: str) -> float:
        if self._refusal is None:
            self._refused_since = monotonic()
        self._refusal = reason
        if self._refused_for() < REFUSAL_REPORT_SECONDS:
            return _soon()
        if reason != self._reported:
            log.critical(
                "the broker refuses this process, which waits until that is corrected", reason=reason
            )
            self._reported = reason
        return REFUSED_SECONDS

    def _refused_for(self) -> float:
        return 0.0 if self._refusal is None else monotonic() - self._refused_since


def refusal(error: BaseException) -> str | None:
    """Why the broker refuses this process, and what to do; None: it is away, or something is missing."""
    if isinstance(error, InvalidFrameError) and "Connection.OpenOk" in str(error):
        # A virtual host that the broker does not open: the client drops the broker's message.
        return f"{_VIRTUAL_HOST} (the broker's log says which)"
    for kinds, reason in _REFUSALS.items():
        if isinstance(error, kinds):
            return f"{reason} ({error})"
    return None


def _end_if_cancelled() -> None:
    task = asyncio.current_task()
    if task is not None and task.cancelling() > 0:
        raise asyncio.CancelledError


def _soon() -> float:
    return random.uniform(*RECONNECT_SECONDS)  # noqa: S311 - spreads load, guards nothing
