"""The calls about schedules, for `Client`."""

from collections.abc import Iterator, Mapping
from typing import Any, Unpack
from uuid import UUID

from waybill import calls
from waybill.answers import AcceptedTask, Schedule, ScheduleDetails
from waybill.calls import Paging, ScheduleTiming
from waybill.client.sync_sending import SyncSending
from waybill_contracts.events import Event


class Schedules:
    """Schedules, which make tasks repeatedly: `client.schedules`.

    weekly = client.schedules.create("weekly", report, cron="0 8 * * MON")
    client.schedules.change(weekly.id, paused=True)
    """

    def __init__(self, sending: SyncSending) -> None:
        self._run = sending.run

    def create(
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

            client.schedules.create("weekly-report", report, cron="0 8 * * MON", timezone="Europe/Berlin")
            client.schedules.create("beat", "sync.requested", beat, every_seconds=3600, missed="skip")

        Args:
            name: a unique one.
            event: of its tasks, or the name of a kind.
            data: the data, where a kind is named.
            key: idempotency key; a new one by default.
            timing: see `ScheduleTiming`; `cron` or `every_seconds` is needed.

        Raises:
            NameTakenError: there is a schedule of this name.
            NeverDueError: it would never make a task.
        """
        return self._run(calls.schedules.create(name, event, data, key, timing))

    def get(self, schedule_id: str | UUID) -> ScheduleDetails:
        """A schedule with its last tasks.

            print(client.schedules.get(schedule.id).next[0])

        Raises:
            NoSuchScheduleError: there is none of this id.
        """
        return self._run(calls.schedules.get(schedule_id))

    def list(self, *, name: str | None = None, limit: int | None = None) -> Iterator[Schedule]:
        """Schedules, newest first, fetched page by page.

            for schedule in client.schedules.list():
                print(schedule.name, schedule.cron)

        Args:
            name: only the one of this name.
            limit: number of them at most; None: all.
        """
        paging = Paging[Schedule](limit)
        while paging.wanted:
            yield from paging.items(self._run(calls.schedules.page(name, paging.wanted, paging.cursor)))

    def change(
        self,
        schedule_id: str | UUID,
        *,
        body: Event | Mapping[str, Any] | None = None,
        **timing: Unpack[ScheduleTiming],
    ) -> Schedule:
        """Changes a schedule; what is not named stays, and None resets a field to its default.

            client.schedules.change(schedule.id, paused=True)

        Args:
            schedule_id: of the schedule.
            body: of its tasks from now on, as an event or as data; None: it stays.
            timing: see `ScheduleTiming`.

        Raises:
            NoSuchScheduleError: there is none of this id.
            ChangedMeanwhileError: another call changed it just now.
        """
        return self._run(calls.schedules.change(schedule_id, body, timing))

    def run(self, schedule_id: str | UUID, *, key: str | None = None) -> AcceptedTask:
        """Makes a task of a schedule now, also of one that is paused; its slots stay as they are.

            task = client.schedules.run(schedule.id)

        Args:
            schedule_id: of the schedule.
            key: a repeat with it makes no second task; None: one is made for this call.

        Raises:
            NoSuchScheduleError: there is none of this id.
            CannotRunError: no task can be made of it any more.
        """
        return self._run(calls.schedules.run(schedule_id, key))

    def delete(self, schedule_id: str | UUID) -> None:
        """Deletes a schedule; the tasks that it has made stay.

            client.schedules.delete(schedule.id)

        Raises:
            NoSuchScheduleError: there is none of this id.
        """
        self._run(calls.schedules.delete(schedule_id))
