"""Keeping a copy of something fresh."""

from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

from waybill_worker.runtime.periodic_task import PeriodicTask

#: A copy is at most about a second old: this, and the time of the reading.
REFRESH_SECONDS: Final = 0.5


class Refresh(PeriodicTask):
    """Refreshes a copy twice a second.

    Args:
        refresh: reads what has changed.
    """

    NAME: ClassVar = "refresh of the registry"

    def __init__(self, refresh: Callable[[], Awaitable[object]]) -> None:
        super().__init__(every_seconds=REFRESH_SECONDS)
        self._refresh = refresh

    async def _run_once(self) -> None:
        await self._refresh()
