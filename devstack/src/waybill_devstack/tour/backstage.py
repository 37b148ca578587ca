"""Access of the tour behind the API, to a stack on this machine or in containers."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Protocol

import aio_pika

from waybill_devstack.stack import StackFile, read_stackfile
from waybill_devstack.tour.compose import Compose


class NotRunningError(Exception):
    """The process to kill does not run."""


class Backstage(Protocol):
    """Access to the stack behind the API."""

    @property
    def logs(self) -> str:
        """Where its logs are, as text for the user."""

    async def waiting_in(self, queue: str) -> int:
        """How many messages wait in a queue."""

    async def kill(self, process: str) -> str:
        """Kills a process at once.

        Returns:
            Description of what was done.

        Raises:
            NotRunningError: there is nothing to kill.
        """

    async def back_as(self, process: str) -> str | None:
        """Description of the successor of a killed process; None until there is one."""

    async def stored_files(self) -> set[str]:
        """The files in the object store."""


class ProcessesBackstage:
    """A stack of `make up` or `make demo`."""

    def __init__(self, stack: StackFile) -> None:
        self._stack = stack
        self._killed: dict[str, int] = {}

    @property
    def logs(self) -> str:
        """Where its logs are."""
        return f"in {self._stack.state / 'logs'}"

    async def waiting_in(self, queue: str) -> int:
        """How many messages wait in a queue."""
        async with await aio_pika.connect(self._stack.amqp) as connection:
            declared = await (await connection.channel()).declare_queue(queue, passive=True)
            return declared.declaration_result.message_count or 0

    async def kill(self, process: str) -> str:
        """Kills a process at once."""
        pid = self._pid_of(process)
        if pid is None:
            raise NotRunningError(process)
        self._killed[process] = pid
        os.kill(pid, signal.SIGKILL)
        return f"kill -9 {pid}"

    async def back_as(self, process: str) -> str | None:
        """The successor of a killed process."""
        pid = self._pid_of(process)
        return None if pid in {None, self._killed[process]} else f"process {pid}"

    async def stored_files(self) -> set[str]:
        """The files in the object store."""
        objects: Path = self._stack.state / "objects"
        return {str(path) for path in objects.rglob("*") if path.is_file()}

    def _pid_of(self, process: str) -> int | None:
        self._stack = read_stackfile(self._stack.path)
        return next((p.pid for p in self._stack.processes if p.name == process), None)


class ContainersBackstage:
    """An installation of compose.yaml."""

    def __init__(self, compose: Compose) -> None:
        self._compose = compose
        self._killed: dict[str, int] = {}

    @property
    def logs(self) -> str:
        """Where its logs are."""
        return "what `docker compose logs` shows"

    async def waiting_in(self, queue: str) -> int:
        """How many messages wait in a queue; the broker's number is up to 5 s old."""
        listed = await self._run(
            "exec", "-T", "rabbitmq", "rabbitmqctl", "-q", "list_queues", "name", "messages"
        )
        return next((int(row[1]) for row in map(str.split, listed.splitlines()) if row[0] == queue), 0)

    async def kill(self, process: str) -> str:
        """Kills the process in its container from within, for a container that Docker kills stays down."""
        self._killed[process] = await asyncio.to_thread(self._compose.pid_of, process)
        if not self._killed[process]:
            raise NotRunningError(process)
        script = "kill -KILL $(cat /proc/1/task/1/children)"
        await self._run("exec", "-T", process, "sh", "-c", script)
        return f"kill -9 in the container of {process}"

    async def back_as(self, process: str) -> str | None:
        """The container that runs again."""
        pid = await asyncio.to_thread(self._compose.pid_of, process)
        return None if pid in {0, self._killed[process]} else f"its container runs again, process {pid}"

    async def stored_files(self) -> set[str]:
        """The files in the object store."""
        listed = await self._run("exec", "-T", "images", "find", "/data", "-type", "f")
        return set(listed.splitlines())

    async def _run(self, *arguments: str) -> str:
        return await asyncio.to_thread(self._compose.run, *arguments)
