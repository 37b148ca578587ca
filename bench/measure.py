"""One round of one system: all its processes are started anew, put under load, counted, and stopped."""

import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import uvloop

from bench.figures import (
    ACCEPTED,
    BULK,
    BULK_CORE,
    DRAIN,
    END_TO_END,
    FEW,
    FEW_RATE,
    FEW_TASKS,
    FULL_LOAD,
    HALF_LOAD,
    PICKUP,
    RATE,
    Durations,
    Figure,
    Round,
    Usage,
    per_second,
    percentiles,
)
from bench.kit.load import RECORDS, Load, Posted, Target
from bench.kit.place import Place
from bench.kit.programs import ProgramError, Running, start, stop
from bench.kit.usage import Watched
from bench.systems.base import System

#: Requests under way at once, except at half load.
CONNECTIONS = 64
#: Bulks under way at once.
BULKS = 4
#: Between two checks of the recorded outcomes.
POLL_SECONDS = 0.02
NANOSECONDS = 1e9
MEBIBYTE = 1024 * 1024


class InvalidError(Exception):
    """The round cannot be counted: posts failed, or tasks are missing."""


class Measurement:
    """One system in one place."""

    def __init__(
        self, system: System, place: Place, durations: Durations, shared: Mapping[str, Watched]
    ) -> None:
        """A measurement.

        Args:
            system: what is measured.
            place: where.
            durations: for how long.
            shared: processes by role that work for it and are not its own: Redis, PostgreSQL.
        """
        self._system = system
        self._place = place
        self._durations = durations
        self._shared = shared
        self._numbers: Iterator[int] = count()
        self._posted = 0
        self._accepted = 0
        self.round = Round(system.NAME)

    def run(self) -> Round:
        """Everything; what goes wrong is among the faults of the round."""
        durations, running = self._durations, list[Running]()
        try:
            self._system.prepare()
            running = start(self._system.accepting(), self._place.folder)
            workers = start(self._system.working(), self._place.folder)
            running += workers
            idle = _memory(running)
            self._closed(durations.warm_up)  # first requests open connections and fill caches
            self._end_to_end(durations.end_to_end, running, idle)
            rate = self.round.values[RATE.key] = self.round.values[END_TO_END.key] / 2
            self._steady(rate, durations.half_load, running, HALF_LOAD, PICKUP)
            self._steady(FEW_RATE, durations.few, running, FEW_TASKS, FEW)
            stop(workers)
            running = [each for each in running if each not in workers]
            self._accept(durations.accepting)
            workers = self._drain()
            running += workers
            if self._system.BULK is not None:
                stop(workers)
                running = [each for each in running if each not in workers]
                self._bulk(*self._system.BULK, durations.bulk, running)
            for each in running:
                each.require_alive()
        except (ProgramError, InvalidError, OSError) as error:
            self.round.faults.append(str(error))
        finally:
            stop(running)
            self._system.close()
        runs = self._place.stamps.runs(self._posted)
        self.round.posted = self._posted
        self.round.run_twice = sum(times > 1 for times in runs)
        return self.round

    def _end_to_end(self, seconds: float, running: list[Running], idle: Mapping[str, float]) -> None:
        watched = self._watched(running)
        for role, each in watched.items():
            self.round.usage[role] = Usage(len(each.pids()), idle.get(role, 0.0), 0.0)
        begun = time.monotonic()
        with self._processor(running, FULL_LOAD):
            posted = self._closed(seconds)
        took = self._last_recorded - begun
        self.round.values[END_TO_END.key] = per_second(len(posted.accepted), took)
        for role, each in watched.items():
            loaded = each.memory_bytes() / MEBIBYTE
            self.round.usage[role] = replace(self.round.usage[role], loaded_mb=loaded)

    def _steady(
        self, rate: float, seconds: float, running: list[Running], load: str, pickup: Sequence[Figure]
    ) -> None:
        first = self._posted
        with self._processor(running, load):
            self._load(lambda load: load.steady(rate, seconds))
        sent, begun = self._place.stamps.sent(self._posted), self._place.stamps.begun(self._posted)
        waits = [
            (b - s) / NANOSECONDS * 1000 for s, b in zip(sent[first:], begun[first:], strict=True) if s and b
        ]
        if waits:
            self.round.values |= percentiles(waits, pickup)

    @contextmanager
    def _processor(self, running: list[Running], load: str) -> Iterator[None]:
        """Measures the processor time of each task that is accepted in the block."""
        watched, accepted = self._watched(running), self._accepted
        before = {role: each.cpu_seconds() for role, each in watched.items()}
        yield
        tasks = max(1, self._accepted - accepted)
        for role, each in watched.items():
            cpu = each.cpu_seconds() - before[role]
            self.round.usage[role].cpu_us_per_task[load] = 1e6 * cpu / tasks

    def _watched(self, running: list[Running]) -> dict[str, Watched]:
        own: dict[str, Watched] = {each.program.role: each for each in running}
        return own | dict(self._shared)

    def _accept(self, seconds: float) -> None:
        posted = self._load(lambda load: load.closed(CONNECTIONS, seconds), and_run=False)
        self.round.values[ACCEPTED.key] = per_second(len(posted.accepted), posted.seconds)
        self._waiting = posted
        self._until_published()

    def _bulk(self, target: Target, tasks: int, seconds: float, running: list[Running]) -> None:
        gateway = next(each for each in running if each.program.role == "api")
        before = gateway.cpu_seconds()
        posted = self._load(lambda load: load.closed(BULKS, seconds), and_run=False, target=target)
        # Of the gateway until all are published, as far as it publishes them itself.
        self._until_published()
        spent = gateway.cpu_seconds() - before
        accepted = tasks * len(posted.accepted)
        self.round.values[BULK.key] = per_second(accepted, posted.seconds)
        self.round.values[BULK_CORE.key] = per_second(accepted, spent)

    def _until_published(self) -> None:
        deadline = time.monotonic() + self._durations.patience
        while self._system.outstanding():
            if time.monotonic() > deadline:
                raise InvalidError("accepted tasks do not reach the broker")
            time.sleep(POLL_SECONDS)

    def _drain(self) -> list[Running]:
        numbers = self._waiting.accepted
        workers = start(self._system.working(), self._place.folder)
        try:
            self._until_recorded(self._waiting)
        except BaseException:
            stop(workers)
            raise
        begun = self._place.stamps.begun(self._posted)
        first = min((begun[number] for number in numbers if begun[number]), default=0) / NANOSECONDS
        self.round.values[DRAIN.key] = per_second(len(numbers), self._last_recorded - first)
        return workers

    def _closed(self, seconds: float) -> Posted:
        return self._load(lambda load: load.closed(CONNECTIONS, seconds))

    def _load(
        self,
        put: Callable[[Load], Coroutine[Any, Any, Posted]],
        *,
        and_run: bool = True,
        target: Target = RECORDS,
    ) -> Posted:
        """Puts a load on the gateway and, unless there is no worker, waits until all are recorded."""
        posted = uvloop.run(put(Load(self._place.api_port, self._place.stamps, self._numbers, target)))
        self._posted += len(posted.accepted) + len(posted.failures)
        self._accepted += len(posted.accepted)
        if posted.failures:
            raise InvalidError(f"{len(posted.failures)} posts failed: {posted.failures[0]}")
        if and_run:
            self._until_recorded(posted)
        return posted

    def _until_recorded(self, posted: Posted) -> None:
        """Waits until every accepted task so far has its outcome, and checks those of `posted` one by one."""
        recorded, progress = -1, time.monotonic()
        while recorded < self._accepted and time.monotonic() - progress < self._durations.patience:
            now = self._system.recorded(self._posted)
            if now != recorded:
                recorded, progress = now, time.monotonic()
            time.sleep(POLL_SECONDS)
        self._last_recorded = progress
        missing = self._system.without_outcome(posted.ids())
        if missing:
            raise InvalidError(
                f"{len(missing)} of {len(posted.accepted)} accepted tasks have no recorded outcome"
            )


def _memory(running: list[Running]) -> dict[str, float]:
    return {each.program.role: each.memory_bytes() / MEBIBYTE for each in running}
