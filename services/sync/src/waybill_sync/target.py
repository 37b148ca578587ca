"""External systems that records may be written to, and the URLs of records."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from waybill_worker.errors import PermanentError
from waybill_worker.runtime import TlsFiles

#: What a server, or a proxy that decodes %2F, may read as a separator in the path.
_SEPARATORS = re.compile(r"[/\\]")

#: The contract allows ids of 128; this bounds the URL whatever a producer has sent.
_MAX_SEGMENT_LENGTH = 256
#: RFC 9110, 5.6.2 and 5.5, in ASCII and without white space around a value: a secret read from a file often
#: ends with a line break, and the HTTP library would quote the value in its error.
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?")
#: Set by the client for each request.
_OWN_HEADERS = frozenset(
    {"idempotency-key", "content-type", "content-length", "transfer-encoding", "host", "connection"}
)


@dataclass(frozen=True, slots=True)
class Target:
    """One configured system.

    Attributes:
        name: its name in events.
        base_url: without a slash at the end.
        headers: sent with every request, for example `Authorization`; secret.
    """

    name: str
    base_url: str
    headers: Mapping[str, str] = field(repr=False)

    @property
    def place(self) -> dict[str, str | int]:
        """Span attributes of a request to it, without the record."""
        parts = urlsplit(self.base_url)
        return {
            "http.request.method": "PUT",
            "server.address": parts.hostname or "",
            "server.port": parts.port or (443 if parts.scheme == "https" else 80),
            "waybill.target": self.name,
        }

    def record_url(self, resource: str, record_id: str) -> str:
        """Build `{base}/{resource}/{id}`; neither resource nor id can leave its path segment.

        Raises:
            PermanentError: one of them is empty, too long, or contains a `.` or `..` step.
        """
        return f"{self.base_url}/{_segment('resource', resource)}/{_segment('id', record_id)}"


def configure_targets(
    base_urls: Mapping[str, str], headers: Mapping[str, Mapping[str, str]]
) -> dict[str, Target]:
    """Check the configuration at the start, so that no task fails because of it.

    Args:
        base_urls: name -> `http(s)://host[:port][/path]`.
        headers: name -> headers for each request to it.

    Raises:
        ValueError: a URL is not a plain base URL, a header is malformed or for an unknown target.
    """
    unknown = sorted(set(headers) - set(base_urls))
    if unknown:
        raise ValueError(f"headers are configured for targets that have no base URL: {', '.join(unknown)}")
    for name, values in headers.items():
        _check_headers(name, values)
    return {
        name: Target(name, _base_url(name, url), headers.get(name, {})) for name, url in base_urls.items()
    }


def check_tls(targets: Mapping[str, Target], tls: Mapping[str, TlsFiles]) -> None:
    """Check that certificate files are configured only for targets with https.

    Raises:
        ValueError: they are for an unknown target, or for one without https.
    """
    for name in tls:
        if name not in targets:
            raise ValueError(f"certificates are configured for {name!r}, which is not a target")
        if urlsplit(targets[name].base_url).scheme != "https":
            raise ValueError(f"certificates are configured for target {name!r}, whose base URL is not https")


def _base_url(name: str, url: str) -> str:
    parts = urlsplit(url)
    # Without the URL, which may contain a password.
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"the base URL of target {name!r} must look like https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            f"the base URL of target {name!r} contains a login: configure an Authorization header"
        )
    if parts.query or parts.fragment:
        raise ValueError(f"the base URL of target {name!r} must have no query and no fragment")
    return url.rstrip("/?#")


def _check_headers(target: str, headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
            raise ValueError(f"the header {name!r:.100} of target {target!r} is malformed, or set by Waybill")
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(
                f"the value of header {name} of target {target!r} must be printable ASCII, "
                "without spaces or line breaks around it"
            )


def _segment(what: str, value: str) -> str:
    if len(value) > _MAX_SEGMENT_LENGTH:
        raise PermanentError(
            f"the {what} has {len(value)} characters: at most {_MAX_SEGMENT_LENGTH} are allowed"
        )
    if not value or any(step in {".", ".."} for step in _SEPARATORS.split(value)):
        raise PermanentError(
            f"the {what} {value!r:.200} cannot be part of a path: it is empty, or leaves its segment"
        )
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise PermanentError(f"the {what} {value!r:.200} is not valid Unicode text") from None
