"""Runs named processes: starts them in order, starts again what dies, stops everything completely."""

import asyncio
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console

from waybill_devstack.processes.child import Child, ProcessSpec
from waybill_devstack.processes.output import Terminal

#: A service imports for a second or two; this much on a busy machine.
READY_SECONDS = 60.0
#: Time to finish work in hand; the limits of services are shorter.
GRACE_SECONDS = 15.0
#: Wait before a start after an unexpected end; doubled each time up to the longest.
FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 0.5, 10.0
#: A process that ran this long before it died begins again with the shortest wait.
STEADY_SECONDS = 30.0
#: Seconds between two checks whether a process is ready.
POLL_SECONDS = 0.05
#: The name of the supervisor's own lines.
OWN_NAME = "stack"


class StartError(Exception):
    """A process did not become ready; `str()` has the end of its output."""


class Supervisor:
    """An asynchronous context manager: on leaving it everything is stopped, whatever happened.

    To be used in the main thread: on Linux the kernel then ends the processes even when this one is killed.

    Args:
        state: the output of each process goes to `logs/<name>.log` in it, anew with each supervisor.
        console: where lines are shown.
        on_pids: called with name -> pid whenever a process was started or has ended.
        ready_seconds: the limit for each process to become ready.
        grace_seconds: from SIGTERM to SIGKILL.
    """

    def __init__(
        self,
        state: Path,
        console: Console,
        *,
        on_pids: Callable[[Mapping[str, int]], None] = lambda pids: None,  # noqa: ARG005 (no listener)
        ready_seconds: float = READY_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self._logs = state / "logs"
        self._terminal = Terminal(console)
        self._terminal.reserve(OWN_NAME)
        self._on_pids = on_pids
        self._ready_seconds = ready_seconds
        self._grace_seconds = grace_seconds
        self._children: dict[str, Child] = {}
        #: Every process that is kept running, also one that a new process of its name replaces.
        self._running: dict[Child, asyncio.Task[None]] = {}
        self._was_ready: set[Child] = set()
        self._retired: set[Child] = set()
        self._endings: dict[Child, str] = {}
        self._stopping = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def pids(self) -> dict[str, int]:
        """The pid of each process that runs now, in the order of their start."""
        return {name: child.pid for name, child in self._children.items() if child.pid is not None}

    def say(self, line: str) -> None:
        """Print a line of the supervisor's own."""
        self._terminal.show(OWN_NAME, line)

    async def start(self, *specs: ProcessSpec) -> None:
        """Start the processes of one step together and return when all of them are ready.

        Raises:
            StartError: one ended first or was not ready in time. The others go on until `stop`.
            ValueError: a name is in use already.
        """
        self._logs.mkdir(parents=True, exist_ok=True)
        for spec in specs:
            if spec.name in self._children or spec.name == OWN_NAME:
                raise ValueError(f"there are two processes named {spec.name}")
            self._terminal.reserve(spec.name)
            log = self._logs / f"{spec.name}.log"
            log.write_bytes(b"")
            self._children[spec.name] = self._begin(Child(spec, log, self._terminal))
        waiting = [asyncio.create_task(self._until_ready(self._children[spec.name])) for spec in specs]
        try:
            await asyncio.gather(*waiting)
        finally:
            for task in waiting:
                task.cancel()

    async def restart(self, name: str) -> None:
        """Start a second process of this name; once it is ready, stop the first, which has the grace time.

        Raises:
            KeyError: there is no process of this name.
            StartError: the second one did not become ready; the first goes on.
        """
        first = self._children[name]
        second = self._begin(Child(first.spec, first.log, self._terminal))
        try:
            await self._until_ready(second)
        except StartError:
            await self._retire(second)
            raise
        self._children[name] = second
        self._on_pids(self.pids())
        await self._retire(first)

    async def stop(self) -> None:
        """Stop every process at once: SIGTERM, SIGKILL after the grace time. Returns when all are gone."""
        self._stopping.set()
        self._signal_all(signal.SIGTERM)
        tasks = set(self._running.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._grace_seconds)
            if late:
                names = ", ".join(child.spec.name for child, task in self._running.items() if task in late)
                self.say(f"{names} did not stop within {self._grace_seconds:g} s: killed")
                self._signal_all(signal.SIGKILL)
            # Also where this is cancelled no process is left: each task ends once its process has.
            await asyncio.gather(*tasks)

    def _begin(self, child: Child) -> Child:
        self._running[child] = asyncio.create_task(self._keep_running(child))
        return child

    async def _retire(self, child: Child) -> None:
        self._retired.add(child)
        task = self._running[child]
        child.signal(signal.SIGTERM)
        _, late = await asyncio.wait({task}, timeout=self._grace_seconds)
        if late:
            self.say(f"{child.spec.name} did not stop within {self._grace_seconds:g} s: killed")
            child.signal(signal.SIGKILL)
            await task
        del self._running[child]

    async def _keep_running(self, child: Child) -> None:
        name, backoff = child.spec.name, FIRST_BACKOFF_SECONDS
        while True:
            started = time.monotonic()
            ending = await child.run_once(lambda: self._has_started(child))
            self._on_pids(self.pids())
            if self._stopping.is_set() or child in self._retired:
                return
            if child not in self._was_ready:
                self._endings[child] = ending
                return
            if time.monotonic() - started > STEADY_SECONDS:
                backoff = FIRST_BACKOFF_SECONDS
            self.say(f"{name} ended ({ending}); it is started again in {backoff:g} s")
            try:
                await asyncio.wait_for(self._stopping.wait(), backoff)
            except TimeoutError:
                backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)
            else:
                return

    def _has_started(self, child: Child) -> None:
        self._on_pids(self.pids())
        if self._stopping.is_set():  # `stop` came while it was being started
            child.signal(signal.SIGTERM)

    async def _until_ready(self, child: Child) -> None:
        name = child.spec.name
        deadline = time.monotonic() + self._ready_seconds
        while True:
            ready = await self._is_ready(child, deadline)
            if self._running[child].done():
                self._running[child].result()
                ending = self._endings.get(child, "stopped")
                raise StartError(f"{name} ended before it was ready ({ending}). {_last_words(child)}")
            if ready:
                self._was_ready.add(child)
                return
            if time.monotonic() > deadline:
                raise StartError(f"{name} is not ready after {self._ready_seconds:g} s. {_last_words(child)}")
            await asyncio.sleep(POLL_SECONDS)

    async def _is_ready(self, child: Child, deadline: float) -> bool:
        if child.pid is None:
            return False
        if child.spec.ready is None:
            return True
        try:
            return await asyncio.wait_for(child.spec.ready(child.pid), max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            return False

    def _signal_all(self, number: signal.Signals) -> None:
        for child in self._running:
            child.signal(number)


def _last_words(child: Child) -> str:
    tail = child.log_tail()
    return f"The end of its output:\n{tail}" if tail else "It wrote nothing."
