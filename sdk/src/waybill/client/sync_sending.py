"""Sends calls and waits for them: what `Client` is made of."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from ssl import SSLContext
from typing import Any, TypeVar

import httpx

from waybill.answers import TaskEvent
from waybill.calls import OK, SILENT_SECONDS, Answer, Call, Following, Limits, Trying, require_success
from waybill.client import http
from waybill.client.replacement import replaced
from waybill.client.settings import ApiKey, gateway_url, key_source, stated_key
from waybill.client.sink import Sink
from waybill.problems import ClientError, UnreachableError

T = TypeVar("T")


class SyncSending:
    """Connections to a gateway, and the calls over them. Arguments are those of `Client`."""

    def __init__(
        self,
        url: str | None,
        api_key: ApiKey | None,
        limits: Limits,
        *,
        ca_file: str | Path | SSLContext | None,
        headers: Mapping[str, str] | None,
        connections: int,
        transport: httpx.BaseTransport | None,
    ) -> None:
        replacement, replaced_url = replaced()
        self._url = gateway_url(url or replaced_url)
        self._key: Any = key_source(api_key)
        self.limits = limits
        options = http.options(self._url, ca_file, headers, connections)
        self._made = partial(httpx.Client, **options, transport=transport or replacement)
        self._open, self._process = self._made(), os.getpid()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    @property
    def _http(self) -> httpx.Client:
        """The connections: a forked process has its own, as the others are those of its parent."""
        if self._process != os.getpid():
            if not self._open.is_closed:
                self._open = self._made()
            self._process = os.getpid()
        return self._open

    def run(self, call: Call[T], sink: Sink | None = None) -> T:
        """Makes a call, and repeats it as its limits allow.

        Args:
            call: what is sent, and how its answer is read.
            sink: gets the content of the answer instead.
        """
        trying = Trying(call, self.limits)
        while True:
            try:
                return trying.read(self._send(call, trying, sink))
            except ClientError as error:
                pause = trying.pause_after(error)
                if sink is not None:
                    sink.restart(error)
                time.sleep(pause)

    def events(self, following: Following) -> Iterator[TaskEvent]:
        """Follows events; a connection that is lost is made again."""
        while not following.is_over:
            try:
                yield from self._received(following)
            except ClientError as error:
                time.sleep(following.pause_after(error))

    def lines(self, call: Call[Any]) -> Iterator[Any]:
        """The documents of an answer of JSON lines, as they arrive."""
        rest = b""
        for chunk in self._chunks(call, self.limits.attempt, lambda _status: None):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from map(call.read, (Answer(OK, {}, line) for line in whole if line))
        if rest:
            yield call.read(Answer(OK, {}, rest))

    def _received(self, following: Following) -> Iterator[TaskEvent]:
        for chunk in self._chunks(following.call(), SILENT_SECONDS, following.opened):
            yield from following.took(chunk)
        if not following.is_over:
            raise UnreachableError("the gateway has ended the stream", may_have_taken_effect=False)

    def _chunks(self, call: Call[Any], silent: float, opened: Callable[[int], None]) -> Iterator[bytes]:
        """The parts of an answer as they arrive; the call is made once."""
        key = None if self._key is None else stated_key(self._key)
        try:
            with self._http.stream(
                call.method,
                call.path,
                params=call.params,
                headers=http.headers_of(call, key),
                timeout=http.timeout(silent),
            ) as response:
                if not response.is_success:
                    require_success(Answer(response.status_code, response.headers, response.read()))
                opened(response.status_code)
                yield from response.iter_bytes()
        except httpx.HTTPError as error:
            raise http.unreachable(error, self._url) from error

    def _send(self, call: Call[Any], trying: Trying[Any], sink: Sink | None) -> Answer:
        ends = time.monotonic() + trying.seconds
        key = None if self._key is None else stated_key(self._key)
        content, headers = http.body_of(call)
        try:
            with self._http.stream(
                call.method,
                call.path,
                params=call.params,
                headers=http.headers_of(call, key) | headers,
                timeout=http.timeout(trying.silent),
                follow_redirects=sink is not None,
                content=_until(ends, content) if isinstance(content, Iterator) else content,
            ) as response:
                kept = http.Kept(response, sink)
                for chunk in _until(ends, response.iter_bytes()):
                    kept(chunk)
                return kept.answer()
        except (httpx.HTTPError, TimeoutError) as error:
            raise http.unreachable(error, self._url) from error


def _until(ends: float, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The parts of a body that are there in time; the last one may be late.

    Raises:
        TimeoutError: another one is not.
    """
    is_late = False
    for chunk in chunks:
        if is_late:
            raise TimeoutError("it takes too long")
        yield chunk
        is_late = time.monotonic() > ends
