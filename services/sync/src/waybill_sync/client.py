"""Writes records to external systems over HTTP.

Each attempt has its own connection, without pool, cookies, redirects, or credentials of other targets. In
HTTP/1.1 only the order assigns answers to requests: on a reused connection, extra data of a target would be
taken as the answer to the next record.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import httpx

from waybill_contracts.privacy import Mask
from waybill_contracts.wire import HEADER_TRACEPARENT
from waybill_sync.response_excerpt import header_mask, masked_excerpt
from waybill_sync.retry_after import parse_retry_after
from waybill_sync.target import Target, check_tls, configure_targets
from waybill_worker.attempt import DEFAULT_CIRCUIT, Circuit, CircuitPolicy
from waybill_worker.errors import (
    HandlerError,
    PermanentError,
    RateLimitedError,
    ServerFailureError,
    SnoozeError,
    TransientError,
    UnansweredError,
    UnreachableError,
)
from waybill_worker.observe import SpanKind, span
from waybill_worker.runtime import TlsFiles

#: The most that is read of a response body, for error messages.
MAX_BODY_BYTES = 16 * 1024
#: A longer Location is cut in the record.
_MAX_LOCATION_LENGTH = 2000
#: Client errors that may pass. 409: by the IETF draft on `Idempotency-Key` a request with this key is still
#: in progress (an earlier attempt that timed out), or the record is in conflict with another write; a wrong
#: guess costs some attempts, but giving up could lose a write that is about to succeed.
_TEMPORARY = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        HTTPStatus.TOO_EARLY,
    }
)
#: Sent with every request, and overridden by the headers of a target.
_HEADERS: Mapping[str, str] = MappingProxyType(
    {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "waybill-sync"}
)
#: The default: no target has headers.
_NO_HEADERS: Mapping[str, Mapping[str, str]] = MappingProxyType({})
#: The default: no target has certificates.
_NO_TLS: Mapping[str, TlsFiles] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SyncAnswer:
    """A successful answer: its status (2xx), and the URL of the record if the target returned one."""

    status: int
    location: str | None


class SyncClient:
    """Writes records to the configured targets only.

    Args:
        targets: name -> base URL.
        timeout_seconds: for one complete call, from connecting to the last byte of the answer; and before
            that for the wait until fewer than `max_connections` calls are in progress.
        max_connections: to each target.
        headers: target name -> headers of each request to it, for authorization.
        tls: target name -> certificate files.
        circuit: when to stop calling a target that does not answer, or only with 5xx.

    Raises:
        ValueError: a base URL, header or TLS configuration is invalid, or for an unknown target.
    """

    def __init__(
        self,
        targets: Mapping[str, str],
        *,
        timeout_seconds: float = 10,
        max_connections: int = 50,
        headers: Mapping[str, Mapping[str, str]] = _NO_HEADERS,
        tls: Mapping[str, TlsFiles] = _NO_TLS,
        circuit: CircuitPolicy = DEFAULT_CIRCUIT,
    ) -> None:
        self._targets = configure_targets(targets, headers)
        self._circuits = {name: Circuit(f"target {name!r}", circuit) for name in self._targets}
        self._timeout_seconds = timeout_seconds
        self._max_connections = max_connections
        self._secrets = {name: header_mask(target.headers.values()) for name, target in self._targets.items()}
        # One for each target: while one is blocked, the others continue.
        self._slots = {name: asyncio.Semaphore(max_connections) for name in self._targets}
        check_tls(self._targets, tls)
        # Without the environment: only the configuration counts.
        default = httpx.create_ssl_context(trust_env=False)
        self._tls = {name: tls[name].context() if name in tls else default for name in self._targets}

    async def put(
        self,
        target: str,
        resource: str,
        record_id: str,
        data: Mapping[str, Any],
        idempotency_key: str,
    ) -> SyncAnswer:
        """Send `PUT {base}/{resource}/{record_id}` with the data as JSON.

        Args:
            target: the name of a configured target.
            resource: one path segment, percent-encoded here.
            record_id: one path segment, percent-encoded here.
            data: the record.
            idempotency_key: sent as `Idempotency-Key`, by which the target recognises a repeat.

        Raises:
            PermanentError: unknown target, invalid path or data, 3xx, or a 4xx that is not temporary.
            TransientError: 408, 409, 425; with `retry_after` (seconds) if the target sent one.
            ServerFailureError: (a TransientError) 5xx; with `retry_after` too.
            UnansweredError: (a TransientError) a time-out or a lost connection: it may be written.
            RateLimitedError: 429; with `retry_after` too.
            UnreachableError: no connection, so nothing was sent.
            CircuitOpenError: the target failed too often recently, so nothing was sent.
            SnoozeError: no connection to the target became free, so nothing was sent.
        """
        system = self._target(target)
        request = httpx.Request(
            "PUT",
            system.record_url(resource, record_id),
            content=_encode(data),
            headers=_headers(system, idempotency_key),
        )
        # The circuit is checked last, as it may open during the wait.
        async with self._slot(system):
            return await self._circuits[target].call(lambda: self._send(request, system))

    @asynccontextmanager
    async def _slot(self, system: Target) -> AsyncIterator[None]:
        slots = self._slots[system.name]
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await slots.acquire()
        except TimeoutError:
            raise SnoozeError(
                f"all {self._max_connections} connections to target {system.name!r} are in use"
            ) from None
        try:
            yield
        finally:
            slots.release()

    def _target(self, name: str) -> Target:
        try:
            return self._targets[name]
        except KeyError:
            known = ", ".join(sorted(self._targets)) or "none"
            raise PermanentError(f"there is no target {name!r:.100}; configured: {known}") from None

    async def _send(self, request: httpx.Request, system: Target) -> SyncAnswer:
        progress = _RequestProgress()
        request.extensions["trace"] = progress.trace
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._exchange(request, system)
        except TimeoutError as error:
            what = "complete answer" if progress.started else "connection"
            message = f"target {system.name!r} gave no {what} within {self._timeout_seconds:g} s"
            raise progress.failure(message) from error
        except httpx.TransportError as error:
            message = f"no answer from target {system.name!r}: {type(error).__name__} {error!s:.200}".rstrip()
            raise progress.failure(message) from error

    async def _exchange(self, request: httpx.Request, system: Target) -> SyncAnswer:
        with span("PUT", SpanKind.CLIENT, system.place) as call:
            if call.traceparent is not None:
                request.headers[HEADER_TRACEPARENT] = call.traceparent
            # Only the transport, as a client would store cookies. Without its time-outs, which restart with
            # every read: one byte a second would block us for ever.
            async with httpx.AsyncHTTPTransport(verify=self._tls[system.name], trust_env=False) as connection:
                response = await connection.handle_async_request(request)
                call.set("http.response.status_code", response.status_code)
                body = await _read_beginning(response)
            if response.is_success:
                location = response.headers.get("Location")
                return SyncAnswer(response.status_code, location and location[:_MAX_LOCATION_LENGTH])
            raise _refusal(response, body, system.name, self._secrets[system.name])


class _RequestProgress:
    """The progress of a request: if it fails before any of it was sent, nothing was written."""

    def __init__(self) -> None:
        self.started = False

    async def trace(self, event: str, _info: Mapping[str, Any]) -> None:
        """Called by the HTTP library at each step."""
        self.started = self.started or event.startswith("http11.send_request")

    def failure(self, message: str) -> UnansweredError | UnreachableError:
        return UnansweredError(message) if self.started else UnreachableError(message)


def _headers(system: Target, idempotency_key: str) -> httpx.Headers:
    headers = httpx.Headers(_HEADERS)
    headers.update(system.headers)
    headers.update(
        {
            # The target then closes the connection, so that TIME-WAIT is on its side.
            "Connection": "close",
            "Content-Type": "application/json",
            "Idempotency-Key": idempotency_key,
        }
    )
    return headers


def _encode(data: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, TypeError) as error:
        raise PermanentError(f"the data of the record cannot be written as JSON: {error}") from error


async def _read_beginning(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) >= MAX_BODY_BYTES:
            break
    return bytes(body[:MAX_BODY_BYTES])


def _refusal(response: httpx.Response, body: bytes, target: str, secrets: Mask) -> HandlerError:
    # A compressed body, which was not requested, is not readable.
    readable = b"" if "Content-Encoding" in response.headers else body
    excerpt = masked_excerpt(readable, secrets)
    message = f"target {target!r} answered {response.status_code}" + (f": {excerpt}" if excerpt else "")
    retry_after = parse_retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
    if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimitedError(message, retry_after=retry_after)
    if response.is_server_error:
        return ServerFailureError(message, retry_after=retry_after)
    if response.status_code in _TEMPORARY:
        return TransientError(message, retry_after=retry_after)
    if response.is_redirect or response.status_code < HTTPStatus.BAD_REQUEST:
        message = f"{message} (redirects are not followed: configure the target's final address)"
    return PermanentError(message)
