"""What both clients do with httpx."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from waybill.client.call import Answer
from waybill.client.headers import user_agent
from waybill.client.settings import place_of
from waybill.problems import UnexpectedAnswerError, UnreachableError

#: Seconds that an idle connection is kept: the gateway keeps it for five.
_IDLE_SECONDS: Final = 4.0
_CONNECT_SECONDS: Final = 5.0
#: Larger than any answer about tasks.
MAX_ANSWER_BYTES: Final = 64 * 2**20
#: The request was not sent, or not as a whole.
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


def options(
    url: str, ca_file: str | Path | None, headers: Mapping[str, str] | None, connections: int
) -> dict[str, Any]:
    """The arguments that clients of httpx are made with."""
    return {
        "base_url": url,
        "verify": True if ca_file is None else ssl.create_default_context(cafile=ca_file),
        "headers": {"Accept": "application/json", "User-Agent": user_agent(), **(headers or {})},
        "limits": httpx.Limits(
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=_IDLE_SECONDS,
        ),
    }


def timeout(seconds: float) -> httpx.Timeout:
    """The limits of one attempt; each is of a step of it."""
    return httpx.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS))


def answer_of(response: httpx.Response, content: bytes) -> Answer:
    """The answer in a response."""
    return Answer(response.status_code, response.headers, content)


def unreachable(error: httpx.HTTPError | TimeoutError, url: str) -> UnreachableError:
    """The error of a client for one of httpx."""
    what = str(error) or type(error).__name__
    return UnreachableError(
        f"the gateway {place_of(url)} did not answer: {what}",
        may_have_taken_effect=not isinstance(error, _NOT_SENT),
    )


def too_long(response: httpx.Response) -> UnexpectedAnswerError:
    """The error of an answer that is longer than any of a gateway."""
    return UnexpectedAnswerError(response.status_code, f"the answer has more than {MAX_ANSWER_BYTES:,} bytes")
