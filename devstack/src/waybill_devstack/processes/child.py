"""One supervised process: in a session of its own, its output copied, ended with all its descendants."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from waybill_devstack.processes.output import Terminal, copy_output
from waybill_devstack.processes.readiness import Check
from waybill_testkit.machine import die_with_parent

#: Time for the last output of an ended process; a descendant outside its group may hold the pipe open.
DRAIN_SECONDS = 1.0
#: Lines of a log in an error message.
TAIL_LINES = 20
#: Read from the end of a log for its tail.
TAIL_BYTES = 16 * 1024


@dataclass(frozen=True)
class ProcessSpec:
    """A process to run.

    Attributes:
        name: unique among the processes; names its lines and its log file.
        argv: program and arguments.
        env: laid over this process' own environment.
        ready: called until it returns True; None: ready once started.
        inherits: file descriptors that it inherits, under the same numbers.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    ready: Check | None = None
    inherits: Sequence[int] = ()


class Child:
    """The running process of a spec, across its restarts."""

    def __init__(self, spec: ProcessSpec, log: Path, terminal: Terminal) -> None:
        self.spec = spec
        self.log = log
        self._terminal = terminal
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        """Its process id, None while it does not run."""
        return self._process.pid if self._process else None

    async def run_once(self, started: Callable[[], None]) -> str:
        """Run it until it ends.

        Args:
            started: called as soon as it has a pid.

        Returns:
            How it ended: `code 3`, `SIGKILL`, or why it could not be started.
        """
        reader, transport, their_end = await _pipe()
        try:
            self._process = process = await self._start(their_end)
        except OSError as error:
            transport.close()
            return f"cannot be started: {error}"
        finally:
            os.close(their_end)
        started()
        copying = asyncio.create_task(copy_output(reader, self.spec.name, self._terminal, self.log))
        code = await process.wait()
        # Descendants that are left would keep its ports and its output open.
        self.signal(signal.SIGKILL)
        self._process = None
        try:
            await asyncio.wait_for(copying, DRAIN_SECONDS)
        except TimeoutError:
            self._terminal.show(self.spec.name, "(something that it started still holds its output open)")
        finally:
            transport.close()
        return f"code {code}" if code >= 0 else signal.Signals(-code).name

    def signal(self, number: signal.Signals) -> None:
        """Send `number` to the process and all of its group; nothing if it does not run."""
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):  # all gone; macOS says the latter
                os.killpg(self._process.pid, number)

    def log_tail(self) -> str:
        """The last lines of its log file."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])

    async def _start(self, output: int) -> Process:
        return await asyncio.create_subprocess_exec(
            *self.spec.argv,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | dict(self.spec.env),
            stdin=DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C in the terminal then reaches only us, and we can signal it with all its descendants.
            start_new_session=True,
            preexec_fn=die_with_parent(),
            pass_fds=tuple(self.spec.inherits),
        )


async def _pipe() -> tuple[asyncio.StreamReader, asyncio.ReadTransport, int]:
    """A pipe for a child's output: our reader and its transport, and the file descriptor for the child.

    Not asyncio's own (PIPE), with which `Process.wait` also waits until every descendant has closed the pipe.
    """
    ours, theirs = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours, "rb")
    )
    return reader, transport, theirs
