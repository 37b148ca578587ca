"""Values that take long to make: kept, and made anew now and then, for all who look."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, Generic, TypeVar

Value = TypeVar("Value")

#: A value is made for at most this share of the time: one that takes a second, every twenty.
SHARE: Final = 0.05
#: What fails after this time has failed slowly.
_SLOW_SECONDS: Final = 1.0


class Kept(Generic[Value]):
    """The latest value, for all who ask.

    Args:
        make: makes it.
        fresh_seconds: for how long it is good at least.
    """

    def __init__(self, make: Callable[[], Awaitable[Value]], fresh_seconds: float) -> None:
        self._make, self._fresh_seconds = make, fresh_seconds
        self._value: Value | None = None
        #: Whether there is a value.
        self.is_made = False
        self._stale_at = 0.0
        self._making: asyncio.Task[Value] | None = None

    async def get(self, patience: float | None = None) -> Value | None:
        """The value: a new one if it is made in time, else the last one, or None if there is none yet.

        Args:
            patience: seconds to wait for a new value; None: until it is there.

        Raises:
            Exception: what `make` raised within that time.
        """
        if self._making is None and monotonic() >= self._stale_at:
            self._making = asyncio.create_task(self._made())
            self._making.add_done_callback(self._done)
        if self._making is None:
            return self._value
        making = self._making
        done, _ = await asyncio.wait({making}, timeout=patience)
        return making.result() if done else self._value

    async def _made(self) -> Value:
        began = monotonic()
        try:
            self._value = value = await self._make()
            self.is_made = True
        except Exception:
            # What ends in a time-out must not be made anew for each who asks; what fails at once may be.
            if (took := monotonic() - began) > _SLOW_SECONDS:
                self._stale_at = monotonic() + took / SHARE
            raise
        took = monotonic() - began
        self._stale_at = monotonic() + max(self._fresh_seconds, took / SHARE)
        return value

    def _done(self, making: asyncio.Task[Value]) -> None:
        self._making = None
        # Who waited has seen it.
        if not making.cancelled():
            making.exception()
