"""Runs the stack's processes: starts them, shows what they say, starts the dead again, stops all of them."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from devstack.lifeline import die_with_parent
from devstack.logview import LogView, wants_colour

#: A process that dies again and again is started after ever longer waits, in seconds.
FIRST_RESTART, LONGEST_RESTART = 0.5, 10.0
#: Seconds that a process has to stop in order.
GRACE_SECONDS = 10.0
#: Seconds between looks whether a process has begun its work.
LOOK_SECONDS = 0.1
#: Longest line that is read as one; more is shown in pieces.
MAX_LINE_BYTES = 1 << 20


class NotReadyError(Exception):
    """A process did not begin its work in time; `str()` names it and where its log is."""


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process to run."""

    name: str
    argv: Sequence[str]
    #: Added to our own environment.
    env: Mapping[str, str]
    #: Whether it does its work by now.
    ready: Callable[[], Awaitable[bool]]


@dataclass(slots=True)
class _Kept:
    spec: ProcessSpec
    log: BinaryIO
    process: asyncio.subprocess.Process | None = None
    keeper: asyncio.Task[None] | None = None


class Supervisor:
    """Keeps processes running until it is told to stop."""

    def __init__(
        self,
        specs: Sequence[ProcessSpec],
        *,
        logs: Path,
        on_change: Callable[[dict[str, int]], None],
        quiet: bool = False,
    ) -> None:
        """Prepares to run `specs`.

        Args:
            specs: the processes.
            logs: folder of their raw output, one file each.
            on_change: told name and process id of all that run, whenever that has changed.
            quiet: shows no output of the processes, it is in their logs only.
        """
        self._logs = logs
        self._on_change = on_change
        self._quiet = quiet
        self._view = LogView(
            [spec.name for spec in specs], sys.stdout, colour=wants_colour(sys.stdout, dict(os.environ))
        )
        logs.mkdir(parents=True, exist_ok=True)
        self._kept = [_Kept(spec, (logs / f"{spec.name}.log").open("ab")) for spec in specs]
        self._stopping = False

    async def start(self, *, ready_seconds: float) -> None:
        """Starts all processes and returns when all do their work.

        Raises:
            NotReadyError: one of them does not within `ready_seconds`.
        """
        for kept in self._kept:
            await self._launch(kept)
            kept.keeper = asyncio.create_task(self._keep(kept), name=f"keep {kept.spec.name}")
        waiting = [kept.spec for kept in self._kept]
        deadline = asyncio.get_running_loop().time() + ready_seconds
        while waiting:
            waiting = [spec for spec in waiting if not await spec.ready()]
            if waiting and asyncio.get_running_loop().time() > deadline:
                names = ", ".join(spec.name for spec in waiting)
                raise NotReadyError(
                    f"{names} did not begin to work within {ready_seconds:g} s; logs: {self._logs}"
                )
            await asyncio.sleep(LOOK_SECONDS if waiting else 0)

    async def stop(self) -> None:
        """Stops all processes at once: asks each to stop, and ends by force what does not in time."""
        self._stopping = True
        self._signal(signal.SIGTERM)
        keepers = [kept.keeper for kept in self._kept if kept.keeper is not None]
        if keepers:
            _, late = await asyncio.wait(keepers, timeout=GRACE_SECONDS)
            if late:
                self._signal(signal.SIGKILL)
                await asyncio.wait(late)
        for kept in self._kept:
            kept.log.close()

    def _signal(self, number: signal.Signals) -> None:
        for kept in self._kept:
            if kept.process is not None and kept.process.returncode is None:
                # Each leads a process group of its own: its workers are reached with it.
                os.killpg(kept.process.pid, number)

    async def _launch(self, kept: _Kept) -> None:
        kept.process = await asyncio.create_subprocess_exec(
            *kept.spec.argv,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **kept.spec.env},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=MAX_LINE_BYTES,
            # Ctrl-C on the terminal reaches the supervisor alone, which stops the others in order.
            start_new_session=True,
            preexec_fn=die_with_parent(),
        )
        self._on_change(
            {k.spec.name: k.process.pid for k in self._kept if k.process and k.process.returncode is None}
        )

    async def _keep(self, kept: _Kept) -> None:
        wait = FIRST_RESTART
        while True:
            began = asyncio.get_running_loop().time()
            code = await self._follow(kept)
            if self._stopping:
                return
            if asyncio.get_running_loop().time() - began > LONGEST_RESTART:
                wait = FIRST_RESTART  # it worked for a while: this is a new trouble
            self._view.show(kept.spec.name, f"ended ({_ended(code)}); starting it again in {wait:g} s")
            await asyncio.sleep(wait)
            if self._stopping:
                return
            wait = min(wait * 2, LONGEST_RESTART)
            await self._launch(kept)

    async def _follow(self, kept: _Kept) -> int:
        """Shows what the process says until it has ended."""
        process = kept.process
        if process is None or process.stdout is None:
            raise RuntimeError(f"{kept.spec.name} was not launched")
        while line := await _next_line(process.stdout):
            kept.log.write(line)
            kept.log.flush()
            if not self._quiet:
                self._view.show(kept.spec.name, line.decode(errors="replace").rstrip("\n"))
        return await process.wait()


async def _next_line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await stream.read(error.consumed)


def _ended(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
