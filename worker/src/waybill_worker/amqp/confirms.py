"""Publishes of one channel, and their confirms: one future for all messages of a batch."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar
from uuid import uuid4

MessageT = TypeVar("MessageT")
#: Makes the frames of a message, given its id, the number of the channel, and the bytes of a body in a frame.
Frames = Callable[[MessageT, str, int, int], bytes]
#: Called for each message of a batch with its place in it, and its error; None: it is confirmed.
Answered = Callable[[int, Exception | None], None]


class ReturnedError(Exception):
    """No queue took the message."""


class UnansweredError(Exception):
    """It is not known whether the message arrived."""


class _Answers(Protocol):
    """Where the answers to the messages of a batch go."""

    def settle(self, tag: int, error: Exception | None) -> None: ...


class Batch:
    """Messages that were published together.

    Attributes:
        answered: done once each message is confirmed or has failed; it has no error.
    """

    __slots__ = ("_failed", "_first", "_size", "_waiting", "answered")

    def __init__(self, first: int, size: int, answered: asyncio.Future[None]) -> None:
        self._first = first
        self._size = self._waiting = size
        self._failed: dict[int, Exception] = {}
        self.answered = answered
        if not size:
            answered.set_result(None)

    def settle(self, tag: int, error: Exception | None) -> None:
        """Records the answer to a message; None: it is confirmed."""
        if error is not None:
            self._failed[tag] = error
        self._waiting -= 1
        if not self._waiting and not self.answered.done():
            self.answered.set_result(None)

    @property
    def errors(self) -> Sequence[Exception | None]:
        """Of each message in their order; None: it is confirmed."""
        return [self._failed.get(tag) for tag in range(self._first, self._first + self._size)]


class _Each:
    """Passes on each answer as it comes."""

    __slots__ = ("_answered", "_first")

    def __init__(self, first: int, answered: Answered) -> None:
        self._first = first
        self._answered = answered

    def settle(self, tag: int, error: Exception | None) -> None:
        self._answered(tag - self._first, error)


class Confirms:
    """The publishes of one channel in confirm mode, on which nothing else publishes.

    What is published in one turn of the event loop goes to the socket as one write.

    Args:
        channel: its number.
        largest_body: bytes of a body in one frame.
        write: writes to the socket.
        timeout_seconds: after which a message without a confirm has failed.
    """

    def __init__(
        self, channel: int, largest_body: int, write: Callable[[bytes], None], timeout_seconds: float
    ) -> None:
        self._channel = channel
        self._largest_body = largest_body
        self._write = write
        self._timeout_seconds: Final = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._next = 1
        #: Messages without an answer, by their tag, and the lowest tag that may be among them.
        self._waiting: dict[int, _Answers] = {}
        self._lowest = 1
        self._unsent: list[bytes] = []
        #: When the messages up to a tag have failed.
        self._deadlines: deque[tuple[float, int]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        # A returned message is recognised by its id, which has its tag.
        self._prefix: Final = f"{uuid4().hex}."
        self._closed: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it can publish, as far as is known."""
        return self._closed is None

    def publish(self, messages: Sequence[MessageT], frames: Frames[MessageT]) -> Batch:
        """Publishes messages with the next write.

        Args:
            messages: in their order.
            frames: makes the frames of a message, given its id, the number of the channel, and the bytes of
                a body in one frame; if it raises, none is published.

        Raises:
            UnansweredError: the channel is closed.
        """
        written = self._written(messages, frames)
        batch = Batch(self._next, len(written), self._loop.create_future())
        self._send_soon(written, batch)
        return batch

    def publish_each(
        self, messages: Sequence[MessageT], frames: Frames[MessageT], answered: Answered
    ) -> None:
        """As `publish`; `answered` is called for each message as its answer comes, and must not raise.

        Raises:
            UnansweredError: the channel is closed; `answered` is not called.
        """
        written = self._written(messages, frames)
        self._send_soon(written, _Each(self._next, answered))

    def confirmed(self, tag: int, *, multiple: bool, error: Exception | None = None) -> None:
        """Records the broker's answer to a message, or to all up to it; None: it is confirmed.

        Raises:
            ValueError: no such message was published.
        """
        if not 0 < tag < self._next:
            raise ValueError(f"an answer to message {tag}, which was not published")
        if multiple:
            for each in range(self._lowest, tag + 1):
                self._settle(each, error)
            self._lowest = max(self._lowest, tag + 1)
        else:
            self._settle(tag, error)

    def returned(self, message_id: str) -> None:
        """Records that no queue took a message; a confirm of it follows, which does not count."""
        if message_id.startswith(self._prefix):
            self._settle(int(message_id.removeprefix(self._prefix), 16), ReturnedError())

    def close(self, reason: str) -> None:
        """Fails all that is not confirmed, and every later publish."""
        if self._closed is not None:
            return
        self._closed = reason
        self._unsent.clear()
        if self._timer is not None:
            self._timer.cancel()
        for tag in tuple(self._waiting):
            self._settle(tag, UnansweredError(reason))

    def _written(self, messages: Sequence[MessageT], frames: Frames[MessageT]) -> list[bytes]:
        if self._closed is not None:
            raise UnansweredError(self._closed)
        return [
            frames(message, f"{self._prefix}{tag:x}", self._channel, self._largest_body)
            for tag, message in enumerate(messages, self._next)
        ]

    def _send_soon(self, written: list[bytes], answers: _Answers) -> None:
        for tag in range(self._next, self._next + len(written)):
            self._waiting[tag] = answers
        self._next += len(written)
        if not self._unsent:
            self._loop.call_soon(self._send)
        self._unsent += written

    def _settle(self, tag: int, error: Exception | None) -> None:
        answers = self._waiting.pop(tag, None)
        if answers is not None:
            answers.settle(tag, error)

    def _send(self) -> None:
        if self._unsent:
            self._write(b"".join(self._unsent))
            self._unsent.clear()
            self._deadlines.append((self._loop.time() + self._timeout_seconds, self._next - 1))
            if self._timer is None:
                self._timer = self._loop.call_at(self._deadlines[0][0], self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        # Messages are added in the order of their tags.
        oldest = self._lowest = next(iter(self._waiting), self._next)
        while self._deadlines and (self._deadlines[0][1] < oldest or self._deadlines[0][0] <= now):
            _, last = self._deadlines.popleft()
            for tag in range(oldest, last + 1):
                self._settle(tag, UnansweredError(f"no confirm within {self._timeout_seconds:g} s"))
            oldest = max(oldest, last + 1)
        if self._deadlines:
            self._timer = self._loop.call_at(self._deadlines[0][0], self._expire)
