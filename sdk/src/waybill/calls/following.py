"""Following the events of tasks over connections that may be lost, without I/O.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from pydantic import ValidationError

from waybill.answers import TaskEvent
from waybill.calls.call import Answer, Call
from waybill.calls.retrying import Limits
from waybill.calls.tasks import path_of
from waybill.problems import ClientError, UnexpectedAnswerError

#: Seconds without a byte after which a connection is lost: the gateway sends a comment every 15.
SILENT_SECONDS: Final = 45.0
#: Longer than any event.
_MOST_BYTES: Final = 16 * 2**20
OK: Final = 200


class Following:
    """Where a stream of events stands.

        following = Following(task_id, (), None, limits)
        while not following.is_over:
            try:
                for chunk in received(following.call()):
                    yield from following.took(chunk)
            except ClientError as error:
                sleep(following.pause_after(error))

    Args:
        task_id: of the task; None: all tasks.
        kinds: only tasks of these; none: of all.
        last_event_id: events after this one; None: of a task all, otherwise those from now on.
        limits: of a call: for how long the gateway may be away.
    """

    def __init__(
        self, task_id: str | UUID | None, kinds: Sequence[str], last_event_id: str | None, limits: Limits
    ) -> None:
        self._path = "/v1/events" if task_id is None else f"{path_of(task_id)}/events"
        self._params = {"kind": list(kinds)} if kinds else {}
        self._id = last_event_id
        self._limits = limits
        #: When it was lost: the first failure after the last byte; None: it stands.
        self._lost: float | None = None
        self._wait = limits.first_wait
        self._lines = _Lines()
        #: Whether the last event has come.
        self.is_over = False

    def call(self) -> Call[None]:
        """The call that goes on where the stream stands."""
        self._lines = _Lines()
        headers = {"Accept": "text/event-stream"} | ({} if self._id is None else {"Last-Event-ID": self._id})
        return Call("GET", self._path, _nothing, self._params, headers)

    def opened(self, status: int) -> None:
        """Takes note of an answer of success; one without content says that all is known."""
        self.is_over = status != OK

    def took(self, chunk: bytes) -> Iterator[TaskEvent]:
        """The events that a part of the answer completes.

        Raises:
            UnexpectedAnswerError: it is no stream of a gateway.
        """
        self._lost, self._wait = None, self._limits.first_wait
        for fields in self._lines.blocks(chunk):
            self._id = fields.get("id", self._id)
            if fields.get("event") == "end":
                self.is_over = True
                return
            if "data" in fields:
                yield _event(self._id or "", fields["data"])

    def pause_after(self, error: ClientError) -> float:
        """Seconds to wait before the connection is made again.

        Raises:
            ClientError: the given one; it is for good, or the gateway has been away for too long.
        """
        pause = max(self._wait, error.retry_after or 0)
        now = time.monotonic()
        # From the failure on, not from the last byte: a connection that went silent is noticed long after it.
        self._lost = now if self._lost is None else self._lost
        if not error.is_temporary or now + pause - self._lost > self._limits.deadline:
            raise error
        self._wait = min(2 * self._wait, self._limits.longest_wait)
        return pause


class _Lines:
    """Splits a stream of events into blocks of fields."""

    def __init__(self) -> None:
        self._rest = b""
        self._fields: dict[str, str] = {}

    def blocks(self, chunk: bytes) -> Iterator[dict[str, str]]:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > _MOST_BYTES:
            raise UnexpectedAnswerError(OK, f"a line of the stream has more than {_MOST_BYTES:,} bytes")
        for line in lines:
            name, _, value = line.rstrip(b"\r").decode("utf-8", "replace").partition(":")
            if name:
                value = value.removeprefix(" ")
                before = self._fields.get(name)
                self._fields[name] = f"{before}\n{value}" if name == "data" and before is not None else value
            elif not line.rstrip(b"\r") and self._fields:
                done, self._fields = self._fields, {}
                yield done


def _event(id_: str, data: str) -> TaskEvent:
    try:
        return TaskEvent.model_validate_json(data).model_copy(update={"id": id_})
    except ValidationError as error:
        raise UnexpectedAnswerError(OK, "the stream has something that is no event of a task") from error


def _nothing(_answer: Answer) -> Any:
    """The answer is read part by part."""
