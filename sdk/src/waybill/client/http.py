"""What both clients do with httpx."""

import os
import ssl
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import httpx

from waybill.calls import Answer, Call, FileBody, trace_headers
from waybill.client.headers import user_agent
from waybill.client.settings import place_of
from waybill.client.sink import Sink
from waybill.problems import UnexpectedAnswerError, UnreachableError

#: Seconds that an idle connection is kept: the gateway keeps it for five.
_IDLE_SECONDS: Final = 4.0
_CONNECT_SECONDS: Final = 5.0
#: Larger than any answer about tasks.
MAX_ANSWER_BYTES: Final = 64 * 2**20
#: The request was not sent, or not as a whole.
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


def options(
    url: str, ca_file: str | Path | ssl.SSLContext | None, headers: Mapping[str, str] | None, connections: int
) -> dict[str, Any]:
    """The arguments that clients of httpx are made with."""
    return {
        "base_url": url,
        "verify": _trusted(ca_file),
        "headers": {"Accept": "application/json", "User-Agent": user_agent(), **(headers or {})},
        "limits": httpx.Limits(
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=_IDLE_SECONDS,
        ),
    }


def timeout(seconds: float) -> httpx.Timeout:
    """The limits of an attempt: how long nothing may arrive."""
    return httpx.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS))


def headers_of(call: Call[Any], key: str | None) -> dict[str, str]:
    """The headers of a call, with the trace that the application is in."""
    headers = {**trace_headers(), **call.headers}
    return headers if key is None else headers | {"Authorization": f"Bearer {key}"}


def body_of(call: Call[Any]) -> tuple[bytes | Iterator[bytes] | None, dict[str, str]]:
    """The body of a call as httpx takes it, with its headers; a file is read as it is sent."""
    body = call.content
    if not isinstance(body, FileBody):
        return body, {}
    if call.form is None:
        return body.chunks(), {}
    file: Any = (body.name or "file", _FromStart(body), body.content_type)
    form = httpx.Request("POST", "http://form", files={"file": file}, data=dict(call.form))
    parts: Any = form.stream
    return iter(parts), {name: form.headers[name] for name in ("Content-Type", "Content-Length")}


class _FromStart:
    """An open file, of which httpx sees nothing before its start."""

    def __init__(self, body: FileBody) -> None:
        self._start = body.start
        self._file = body.rewound()

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def tell(self) -> int:
        return self._file.tell() - self._start

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset + (0 if whence else self._start), whence) - self._start


class Kept:
    """Collects the content of an answer, or passes it on to a sink if the call has succeeded.

    Raises:
        UnexpectedAnswerError: it is longer than any answer of a gateway.
    """

    def __init__(self, response: httpx.Response, sink: Sink | None) -> None:
        self._response = response
        self._sink = sink if response.is_success else None
        self.content = bytearray()

    def __call__(self, chunk: bytes) -> None:
        """Takes the next part."""
        if self._sink is not None:
            self._sink.write(chunk)
            return
        self.content += chunk
        if len(self.content) > MAX_ANSWER_BYTES:
            raise UnexpectedAnswerError(
                self._response.status_code, f"the answer has more than {MAX_ANSWER_BYTES:,} bytes"
            )

    def answer(self) -> Answer:
        """The answer, which has come as a whole."""
        return Answer(self._response.status_code, self._response.headers, bytes(self.content))


def unreachable(error: httpx.HTTPError | TimeoutError, url: str) -> UnreachableError:
    """The error of a client for one of httpx."""
    what = str(error) or type(error).__name__
    return UnreachableError(
        f"the gateway {place_of(url)} did not answer: {what}",
        may_have_taken_effect=not isinstance(error, _NOT_SENT),
    )


def _trusted(ca_file: str | Path | ssl.SSLContext | None) -> ssl.SSLContext:
    if ca_file is None:
        return _usual(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    return ca_file if isinstance(ca_file, ssl.SSLContext) else ssl.create_default_context(cafile=ca_file)


@cache
def _usual(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """What httpx trusts, which it says by these variables; to read it takes longer than a call."""
    return httpx.create_ssl_context()
