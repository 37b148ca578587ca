"""The processes of a measured system: started, waited for, measured, stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.kit.usage import cpu_seconds, family, memory_bytes
from waybill_testkit.machine import die_with_parent

ROOT = Path(__file__).resolve().parents[2]
#: A process imports for a second or two; this much on a machine that is busy with other things.
READY_SECONDS = 60.0
#: From SIGTERM to SIGKILL.
STOP_SECONDS = 30.0
POLL_SECONDS = 0.1
#: Of a log in an error message.
TAIL_LINES = 15


class ProgramError(Exception):
    """A process did not start, or ended by itself; the text has the end of its output."""


@dataclass(frozen=True, slots=True)
class Program:
    """A process to start."""

    #: What it is in its system: `api`, `worker` …
    role: str
    argv: Sequence[str]
    env: Mapping[str, str]
    #: Whether it does its work by now.
    ready: Callable[[], bool]


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module with this interpreter."""
    return [sys.executable, "-m", module, *arguments]


def answers(url: str, *, saying: str = "") -> Callable[[], bool]:
    """Ready when GET `url` succeeds and its body holds `saying`."""

    def check() -> bool:
        try:
            answer = httpx.get(url, timeout=2)
        except httpx.TransportError:
            return False
        return answer.is_success and saying in answer.text

    return check


@dataclass(slots=True)
class Running:
    """A started program; its output goes to a file, which costs the measuring process nothing."""

    program: Program
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603 - commands of our own
                self.program.argv,
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT)} | dict(self.program.env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - it only calls prctl
            )

    def until_ready(self) -> None:
        """Returns when it does its work.

        Raises:
            ProgramError: it ended first, or was not ready in time.
        """
        deadline = time.monotonic() + READY_SECONDS
        while not self.program.ready():
            self.require_alive()
            if time.monotonic() > deadline:
                raise ProgramError(
                    f"{self.program.role} is not ready after {READY_SECONDS:g} s\n{self._tail()}"
                )
            time.sleep(POLL_SECONDS)

    def require_alive(self) -> None:
        """Checks that it still runs.

        Raises:
            ProgramError: it has ended.
        """
        code = self.process.poll()
        if code is not None:
            raise ProgramError(f"{self.program.role} ended with {code}\n{self._tail()}")

    def pids(self) -> list[int]:
        """The process and its descendants."""
        return family(self.process.pid)

    def cpu_seconds(self) -> float:
        """Processor time used so far, with all descendants that still run."""
        return cpu_seconds(self.pids())

    def memory_bytes(self) -> int:
        """PSS, with all descendants."""
        return memory_bytes(self.pids())

    def stop(self) -> None:
        """Ends it in order, and with force what does not go."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def _tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:])


def start(programs: Sequence[Program], logs: Path) -> list[Running]:
    """Starts programs at once, and returns when all do their work.

    Raises:
        ProgramError: one did not; the others have been stopped.
    """
    running: list[Running] = []
    try:
        for program in programs:
            started = Running(program, logs / f"{program.role}.log")
            running.append(started)  # at once: if the next one cannot be started, this one is stopped
        for each in running:
            each.until_ready()
    except BaseException:
        stop(running)
        raise
    return running


def stop(running: Sequence[Running]) -> None:
    """Stops all."""
    for each in reversed(running):
        each.stop()
