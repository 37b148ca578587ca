"""HTTP with limits on what a caller may do to a connection.

uvicorn waits for ever for the rest of a head or body, and for a caller to read an answer; it accepts heads of
any size, and any number of connections. Here each of these has a limit, and is answered with a problem
document.
"""

import asyncio
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Final

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from waybill_gateway.http.late_close import WatchedClose
from waybill_gateway.http.metrics import GatewayMetrics
from waybill_gateway.http.probes import PROBES
from waybill_gateway.http.problems import Problem, problem_answer

#: Connections beyond the limit that are still answered: probes normally, others with 503. Further ones are
#: closed at once.
SPARE_CONNECTIONS: Final = 100
#: The slowest upload that is accepted: a large one over a slow connection, but not a byte now and then.
BODY_BYTES_PER_SECOND: Final = 8 * 1024
#: Headers of a request at most.
MAX_HEADERS: Final = 100


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What a caller may do to a connection."""

    connections: int
    head_bytes: int
    #: From the beginning of a connection, or the first byte of a head, to the last byte of the head.
    head_seconds: float
    #: For a body; one second is added for each `BODY_BYTES_PER_SECOND` received.
    body_seconds: float
    #: During which the caller reads nothing of an answer.
    unread_seconds: float


class _Part(Enum):
    """The part of a request that is awaited."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class LimitedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, limits: HttpLimits, metrics: GatewayMetrics, **options: Any) -> None:
        super().__init__(*args, **options)
        self._limits, self._metrics = limits, metrics
        #: The request that is being answered; `cycle` is the last one received, and may still wait.
        self._answered: RequestResponseCycle | None = None
        self._awaited = _Part.NOTHING
        self._clock: asyncio.TimerHandle | None = None
        self._unread_clock: asyncio.TimerHandle | None = None
        #: Bytes received of the awaited part, and when it began.
        self._bytes, self._began = 0, 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """Accepts the connection, unless there are too many."""
        super().connection_made(WatchedClose(transport, self._start_unread_clock))  # type: ignore[arg-type] # acts as one
        surplus = len(self.connections) - self._limits.connections
        if surplus > SPARE_CONNECTIONS:
            self._metrics.refused("connections")
            transport.abort()
            return
        if surplus > 0:
            self.app = self._unless_probed(self.app)
        self._await(_Part.HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops all clocks."""
        self._await(_Part.NOTHING)
        self._leave_alone()
        self.pipeline.clear()
        super().connection_lost(exc)
        self._stop_unread_clock()

    def data_received(self, data: bytes) -> None:
        """Reads; a request that is complete with this data, as most are, needs no check of its progress."""
        super().data_received(data)
        if self._awaited is _Part.NOTHING or self.transport.is_closing():
            return
        self._bytes += len(data)
        if self._clock is None:
            self._start_clock()
        if self._awaited is _Part.HEAD and self._bytes > self._limits.head_bytes:
            self._refuse(self._head_too_large(), "head_size")

    def on_message_begin(self) -> None:
        """A head has begun."""
        super().on_message_begin()
        # A clock that runs since the connection was made runs on.
        self._awaited, self._bytes = _Part.HEAD, 0

    def on_headers_complete(self) -> None:
        """A head is complete."""
        self._await(_Part.BODY)
        app = self.app
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self._limits.head_bytes or len(self.headers) > MAX_HEADERS:
            self._metrics.refused("head_size")
            self.app = problem_answer(self._head_too_large())
        super().on_headers_complete()
        self.app = app

    def on_message_complete(self) -> None:
        """A request is complete."""
        self._await(_Part.NOTHING)
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own text
        """Answers a request that is no HTTP."""
        detail = "This cannot be read as a request of HTTP/1.1."
        self._refuse(_closing(HTTPStatus.BAD_REQUEST, "malformed_request", detail), "malformed")

    def timeout_keep_alive_handler(self) -> None:
        """Closes a connection that is idle."""
        if self.transport.get_write_buffer_size():
            self._give_up_unread()  # a close would wait until the caller reads
        super().timeout_keep_alive_handler()

    def pause_writing(self) -> None:
        """An answer is not read as fast as it is written."""
        super().pause_writing()
        self._start_unread_clock()

    def resume_writing(self) -> None:
        """The caller reads again."""
        super().resume_writing()
        # Not on a closing connection: nothing more is written, and the clock is for all that is left.
        if not self.transport.is_closing():
            self._stop_unread_clock()

    def eof_received(self) -> None:
        """The caller sends nothing more: closes the watched transport; the loop would close the bare one."""
        self.transport.close()

    def _start_unread_clock(self) -> None:
        if self._unread_clock is None:
            self._unread_clock = self.loop.call_later(self._limits.unread_seconds, self._give_up_unread)

    def _stop_unread_clock(self) -> None:
        if self._unread_clock is not None:
            self._unread_clock.cancel()
            self._unread_clock = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def _await(self, part: _Part) -> None:
        self._awaited, self._bytes = part, 0
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
        if part is _Part.HEAD:
            self._start_clock()

    def _start_clock(self) -> None:
        self._began = self.loop.time()
        self._clock = self.loop.call_later(self._allowed(), self._look_at_clock)

    def _allowed(self) -> float:
        if self._awaited is _Part.BODY:
            return self._limits.body_seconds + self._bytes / BODY_BYTES_PER_SECOND
        return self._limits.head_seconds

    def _look_at_clock(self) -> None:
        left = self._began + self._allowed() - self.loop.time()
        if self._awaited is _Part.HEAD and self._is_answering:
            left = self._limits.head_seconds  # the caller may read the answer before it sends again
        if left > 0:
            self._clock = self.loop.call_later(left, self._look_at_clock)
            return
        self._clock = None
        if self._awaited is _Part.HEAD and not self._bytes:
            self.transport.close()  # no request has begun, so there is no answer
            return
        what = "head" if self._awaited is _Part.HEAD else "body"
        detail = f"The request's {what} did not come within {self._allowed():.0f} s. Send it again, faster."
        self._refuse(_closing(HTTPStatus.REQUEST_TIMEOUT, f"slow_{what}", detail), f"{what}_time")

    @property
    def _is_answering(self) -> bool:
        return self._answered is not None and not self._answered.response_complete

    def _refuse(self, problem: Problem, reason: str) -> None:
        """Ends the connection; with an answer if that can only belong to the awaited request."""
        self._metrics.refused(reason)
        if self._is_body_of(self.cycle) and self.cycle.response_complete:
            self.transport.close()  # it has its answer; a second one would seem to belong to another request
            return
        if self._is_answering:
            its_own = self._is_body_of(self._answered)
            if not its_own or self.cycle.response_started:
                self.transport.abort()
                return
            self._leave_alone()
        answer = problem_answer(problem)
        headers = [*self.server_state.default_headers, *answer.raw_headers]
        lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[answer.status_code] + lines + b"\r\n" + bytes(answer.body))
        self.transport.close()

    def _is_body_of(self, cycle: RequestResponseCycle | None) -> bool:
        """Whether the body of this request is awaited; an unreadable head has no cycle."""
        return self._awaited is _Part.BODY and cycle is not None and cycle.scope is self.scope

    def _leave_alone(self) -> None:
        """Reports the disconnect to the application, which may be waiting for the rest of a body."""
        if self._answered is not None and not self._answered.response_complete:
            self._answered.disconnected = True
            self._answered.message_event.set()

    def _head_too_large(self) -> Problem:
        detail = f"A request's head may have {self._limits.head_bytes:,} bytes and {MAX_HEADERS} headers."
        return _closing(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large", detail)

    def _give_up_unread(self) -> None:
        self._metrics.refused("unread")
        self.transport.abort()

    def _unless_probed(self, app: Any) -> Any:
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["path"] in PROBES:
                await app(scope, receive, send)
                return
            self._metrics.refused("connections")
            await problem_answer(_overloaded())(scope, receive, send)

        return answer


def _closing(status: HTTPStatus, code: str, detail: str, **headers: str) -> Problem:
    """A problem after which a connection cannot be used again."""
    return Problem(status, code, detail, headers={"Connection": "close"} | headers)


def _overloaded() -> Problem:
    detail = "There are too many connections. Repeat the call in a moment; nothing was accepted."
    return _closing(HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", detail, **{"Retry-After": "1"})
