"""The calls about schedules, for `AsyncClient`."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Unpack
from uuid import UUID

from waybill import calls
from waybill.answers import AcceptedTask, Schedule, ScheduleDetails
from waybill.calls import Paging, ScheduleTiming
from waybill.client.async_sending import AsyncSending
from waybill_contracts.events import Event


class AsyncSchedules:
    """Schedules, which make tasks repeatedly: `client.schedules`.

    weekly = await client.schedules.create("weekly", report, cron="0 8 * * MON")
    await client.schedules.change(weekly.id, paused=True)
    """

    def __init__(self, sending: AsyncSending) -> None:
        self._run = sending.run

    async def create(
        self,
        name: str,
        event: Event | str,
        data: Mapping[str, Any] | None = None,
        /,
        *,
        key: str | None = None,
        **timing: Unpack[ScheduleTiming],
    ) -> Schedule:
        """Creates a schedule.

            await client.schedules.create("weekly-report", report, cron="0 8 * * MON")
            await client.schedules.create("beat", "sync.requested", beat, every_seconds=3600, missed="skip")

        See `Schedules.create`.
        """
        return await self._run(calls.schedules.create(name, event, data, key, timing))

    async def get(self, schedule_id: str | UUID) -> ScheduleDetails:
        """A schedule with its last tasks.

            print((await client.schedules.get(schedule.id)).next[0])

        See `Schedules.get`.
        """
        return await self._run(calls.schedules.get(schedule_id))

    async def list(self, *, name: str | None = None, limit: int | None = None) -> AsyncIterator[Schedule]:
        """Schedules, newest first, fetched page by page.

            async for schedule in client.schedules.list():
                print(schedule.name, schedule.cron)

        See `Schedules.list`.
        """
        paging = Paging[Schedule](limit)
        while paging.wanted:
            page = await self._run(calls.schedules.page(name, paging.wanted, paging.cursor))
            for schedule in paging.items(page):
                yield schedule

    async def change(
        self,
        schedule_id: str | UUID,
        *,
        body: Event | Mapping[str, Any] | None = None,
        **timing: Unpack[ScheduleTiming],
    ) -> Schedule:
        """Changes a schedule; what is not named stays, and None resets a field to its default.

            await client.schedules.change(schedule.id, paused=True)

        See `Schedules.change`.
        """
        return await self._run(calls.schedules.change(schedule_id, body, timing))

    async def run(self, schedule_id: str | UUID, *, key: str | None = None) -> AcceptedTask:
        """Makes a task of a schedule now, also of one that is paused; its slots stay as they are.

            task = await client.schedules.run(schedule.id)

        Args:
            schedule_id: of the schedule.
            key: a repeat with it makes no second task; None: one is made for this call.

        Raises:
            NoSuchScheduleError: there is none of this id.
            CannotRunError: no task can be made of it any more.
        """
        return await self._run(calls.schedules.run(schedule_id, key))

    async def delete(self, schedule_id: str | UUID) -> None:
        """Deletes a schedule; the tasks that it has made stay.

            await client.schedules.delete(schedule.id)

        See `Schedules.delete`.
        """
        await self._run(calls.schedules.delete(schedule_id))
