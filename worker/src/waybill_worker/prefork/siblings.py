"""What one of several processes says about itself, and learns about the others.

Each is asked when somebody wants to know, so what it answers is true now; one that is stuck does not answer.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry

from waybill_worker.observe import shared_registry
from waybill_worker.prefork.folder import Folder

#: Answers a question about this process by a JSON object.
Answers = Callable[[str], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question to another process."""

    #: False: it has ended, and is about to be started again, or has only just been started.
    is_running: bool
    #: None: it does not run, or is stuck.
    said: dict[str, Any] | None


class Siblings:
    """The processes of one parent, as one of them knows them.

    Args:
        folder: of the parent.
        number: of this process, from 1.
        count: how many there are.
        parent_alive: a descriptor that can be read once the parent has ended.
    """

    def __init__(self, folder: Folder, number: int, count: int, parent_alive: int) -> None:
        self._folder = folder
        self._number = number
        self.count = count
        self._parent_alive = parent_alive
        self._server: asyncio.Server | None = None

    def watch_parent(self, ended: Callable[[], object]) -> None:
        """Calls `ended` when the parent has ended: nobody would restart this process then."""
        loop = asyncio.get_running_loop()

        def has_ended() -> None:
            loop.remove_reader(self._parent_alive)
            ended()

        loop.add_reader(self._parent_alive, has_ended)

    def report_begun(self) -> None:
        """Notes for the parent that this process has begun to work."""
        self._folder.begun(self._number).touch()

    async def listen(self, answers: Answers) -> None:
        """Lets the others ask about this process."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                with suppress(ConnectionError):  # who asked does not wait any more
                    question = (await reader.readline()).decode().strip()
                    writer.write(json.dumps(await answers(question)).encode())
                    await writer.drain()
            finally:
                # Also where a check has failed: who asks would take this process for a stuck one.
                writer.close()

        self._server = await asyncio.start_unix_server(answer, self._folder.socket(self._number))

    async def close(self) -> None:
        """Answers no more questions."""
        if self._server is not None:
            self._server.close()

    async def ask(self, question: str, *, seconds: float) -> list[Answer]:
        """Asks all the others at once.

        Args:
            question: one word.
            seconds: after which one that has not answered counts as stuck.
        """
        others = (number for number in range(1, self.count + 1) if number != self._number)
        return await asyncio.gather(*(self._ask(number, question, seconds) for number in others))

    def note_all_ready(self) -> None:
        """Notes for all, and for those that come later, that all were ready at once."""
        self._folder.has_all_been_ready().touch()

    @property
    def were_all_ready(self) -> bool:
        """Whether all have been ready at once since the parent began."""
        return self._folder.has_all_been_ready().exists()

    def registry(self) -> CollectorRegistry:
        """The metrics of all processes, the parent's memory and processor time included."""
        return shared_registry(self._folder.path, [os.getppid(), *self._folder.pids()])

    async def _ask(self, number: int, question: str, seconds: float) -> Answer:
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await asyncio.open_unix_connection(self._folder.socket(number))
                try:
                    writer.write(f"{question}\n".encode())
                    text = await reader.read()
                finally:
                    writer.close()
        except TimeoutError:
            return Answer(is_running=True, said=None)
        except OSError:
            return Answer(is_running=False, said=None)
        # It ended in the middle of its answer.
        return Answer(is_running=bool(text), said=json.loads(text) if text else None)


_here: Siblings | None = None


def siblings() -> Siblings | None:
    """The processes of the same parent; None: this process is alone."""
    return _here


def become(here: Siblings) -> None:
    """Makes this process one of several."""
    global _here  # noqa: PLW0603 - which process it is belongs to the process as a whole
    _here = here
