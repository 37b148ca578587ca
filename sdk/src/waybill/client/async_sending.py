"""Sends calls for asyncio: what `AsyncClient` is made of."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from inspect import isawaitable
from pathlib import Path
from ssl import SSLContext
from typing import Any, TypeVar

import anyio
import httpx
from anyio.to_thread import run_sync

from waybill.answers import TaskEvent
from waybill.calls import (
    OK,
    SILENT_SECONDS,
    Answer,
    Call,
    Following,
    Limits,
    Trying,
    require_success,
)
from waybill.client import http
from waybill.client.replacement import replaced
from waybill.client.settings import AsyncApiKey, gateway_url, key_in, key_source, stated_key
from waybill.client.sink import Sink
from waybill.client.threads import chunks_of
from waybill.problems import ClientError, UnreachableError

T = TypeVar("T")


class AsyncSending:
    """Connections to a gateway, and the calls over them. Arguments are those of `AsyncClient`."""

    def __init__(
        self,
        url: str | None,
        api_key: AsyncApiKey | None,
        limits: Limits,
        *,
        ca_file: str | Path | SSLContext | None,
        headers: Mapping[str, str] | None,
        connections: int,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        replacement, replaced_url = replaced()
        self._url = gateway_url(url or replaced_url)
        self._key: Any = key_source(api_key)
        self.limits = limits
        self._http = httpx.AsyncClient(
            **http.options(self._url, ca_file, headers, connections), transport=transport or replacement
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def run(self, call: Call[T], sink: Sink | None = None) -> T:
        """Makes a call, and repeats it as its limits allow; see `SyncSending.run`."""
        trying = Trying(call, self.limits)
        while True:
            try:
                return trying.read(await self._send(call, trying, sink))
            except ClientError as error:
                pause = trying.pause_after(error)
                if sink is not None:
                    await run_sync(sink.restart, error)
                await anyio.sleep(pause)

    async def events(self, following: Following) -> AsyncIterator[TaskEvent]:
        """Follows events; a connection that is lost is made again."""
        while not following.is_over:
            try:
                async with aclosing(self._received(following)) as received:
                    async for event in received:
                        yield event
            except ClientError as error:
                await anyio.sleep(following.pause_after(error))

    async def lines(self, call: Call[Any]) -> AsyncIterator[Any]:
        """The documents of an answer of JSON lines, as they arrive."""
        rest = b""
        async with aclosing(self._chunks(call, self.limits.attempt, lambda _status: None)) as chunks:
            async for chunk in chunks:
                *whole, rest = (rest + chunk).split(b"\n")
                for line in filter(None, whole):
                    yield call.read(Answer(OK, {}, line))
        if rest:
            yield call.read(Answer(OK, {}, rest))

    async def _received(self, following: Following) -> AsyncGenerator[TaskEvent]:
        async with aclosing(self._chunks(following.call(), SILENT_SECONDS, following.opened)) as chunks:
            async for chunk in chunks:
                for event in following.took(chunk):
                    yield event
        if not following.is_over:
            raise UnreachableError("the gateway has ended the stream", may_have_taken_effect=False)

    async def _chunks(
        self, call: Call[Any], silent: float, opened: Callable[[int], None]
    ) -> AsyncGenerator[bytes]:
        """The parts of an answer as they arrive; the call is made once."""
        key = None if self._key is None else await self._stated_key()
        try:
            async with self._http.stream(
                call.method,
                call.path,
                params=call.params,
                headers=http.headers_of(call, key),
                timeout=http.timeout(silent),
            ) as response:
                if not response.is_success:
                    require_success(Answer(response.status_code, response.headers, await response.aread()))
                opened(response.status_code)
                async for chunk in response.aiter_bytes():
                    yield chunk
        except httpx.HTTPError as error:
            raise http.unreachable(error, self._url) from error

    async def _send(self, call: Call[Any], trying: Trying[Any], sink: Sink | None) -> Answer:
        key = None if self._key is None else await self._stated_key()
        content, headers = await run_sync(http.body_of, call) if call.is_of_file else http.body_of(call)
        try:
            with anyio.fail_after(trying.seconds):
                async with self._http.stream(
                    call.method,
                    call.path,
                    params=call.params,
                    headers=http.headers_of(call, key) | headers,
                    timeout=http.timeout(trying.silent),
                    follow_redirects=sink is not None,
                    content=chunks_of(content) if isinstance(content, Iterator) else content,
                ) as response:
                    kept = http.Kept(response, sink)
                    async for chunk in response.aiter_bytes():
                        if sink is None:
                            kept(chunk)
                        else:
                            await run_sync(kept, chunk)
                    return kept.answer()
        except (httpx.HTTPError, TimeoutError) as error:
            raise http.unreachable(error, self._url) from error

    async def _stated_key(self) -> str:
        if isinstance(self._key, str):
            return stated_key(self._key)
        if isinstance(self._key, Path):
            return await run_sync(stated_key, self._key)
        made = self._key()
        return key_in(await made if isawaitable(made) else made)
