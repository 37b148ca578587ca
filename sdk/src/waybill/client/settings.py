"""Where the gateway is, and with which key it is called."""

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import urlsplit

#: The variables that name a gateway and a key where the application does not.
URL_VARIABLE: Final = "WAYBILL_URL"
KEY_VARIABLE: Final = "WAYBILL_API_KEY"

#: A key, a file that has it, or a function that returns it. File and function are asked before each call.
ApiKey: TypeAlias = str | Path | Callable[[], str]
#: The function may also be async.
AsyncApiKey: TypeAlias = ApiKey | Callable[[], Awaitable[str]]


def gateway_url(url: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """The URL of the gateway, without a slash at the end.

    Args:
        url: from the application; None: the variable WAYBILL_URL.
        environment: of the process.

    Raises:
        ValueError: there is none, or it is no URL of HTTP.
    """
    found = url or environment.get(URL_VARIABLE)
    if not found:
        raise ValueError(f"no gateway is named: Client('http://HOST:8000'), or the variable {URL_VARIABLE}")
    parts = urlsplit(found)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("the URL of the gateway is not like http://HOST:8000")
    return found.rstrip("/")


def place_of(url: str) -> str:
    """A URL without user and password, for messages."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def key_source(key: AsyncApiKey | None, environment: Mapping[str, str] = os.environ) -> AsyncApiKey | None:
    """Where the key comes from; None: no key is sent."""
    return key if key is not None else environment.get(KEY_VARIABLE) or None


def stated_key(source: ApiKey) -> str:
    """The key that a source has now.

    Raises:
        OSError: its file cannot be read.
        ValueError: there is no key in it.
    """
    if isinstance(source, str):
        return key_in(source)
    return key_in(source.read_text(encoding="utf-8") if isinstance(source, Path) else source())


def key_in(text: str) -> str:
    """The key in a text, which a file ends with a line end.

    Raises:
        ValueError: there is none, or it is no key.
    """
    key = text.strip()
    if not (key and key.isascii() and key.isprintable()):
        raise ValueError("the API key is empty, or has other characters than printable ASCII")
    return key
