"""Fingerprints of failures: equal for the same service, task kind, error type and normalised message.

Details that differ from task to task are taken out of a message: ids, numbers, times, addresses, hosts. Its
words stay, and the status that the other side answered.
"""

import hashlib
import re
from typing import Final

#: Characters of a message that count: faults differ at the beginning, and every failure is normalised.
MAX_LENGTH: Final = 500
#: Hexadecimal digits of a fingerprint: 128 bits.
FINGERPRINT_LENGTH: Final = 32

#: After these words, or at the beginning of a sentence, a number from 400 to 599 is the status that the other
#: side answered; in an SMTP reply an enhanced status code follows (RFC 3463).
_STATUS: Final = (
    r"(?:^|\b(?:answered|status|code|HTTP|HTTP/\d(?:\.\d)?)[ :=]|: )"
    r"[45]\d\d(?![\w.])(?:[ -][45]\.\d{1,3}\.\d{1,3}(?!\w))?"
)
#: Placeholder and pattern of each detail; the first match counts. A detail begins at the beginning of a word
#: and is as long as possible (possessive quantifiers), so that no message makes the search slow.
_DETAILS: Final = (
    ("url", r"\bhttps?://[^\s<>\"']++"),
    ("address", r"(?<![\w.+%-])[\w.+%-]++@[\w-]++(?:\.[\w-]++)*+"),
    ("id", r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"),
    ("time", r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d++)?)?(?:Z|[+-]\d\d:?\d\d)?)?(?!\w)"),
    ("host", r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d++)?(?!\w)"),  # IPv4
    ("host", r"\[[0-9a-fA-F.]*:[0-9a-fA-F:.]*+(?:%\w++)?\](?::\d++)?"),  # IPv6 (RFC 3986, 3.2.2)
    ("host", r"(?<![\w.-])(?:[a-z0-9][a-z0-9-]*+\.)++[a-z]{2,24}(?::\d++)?(?!\w)"),
    ("host", r"(?<![\w.-])[a-zA-Z][\w.-]*+:\d{2,5}(?!\w)"),  # a short name, with its port
    ("id", r"(?<![\w.-])[a-zA-Z_][a-zA-Z_-]*+\d[\w-]*+"),  # order-17, v2
    ("id", r"(?<![\w.-])\d[\d_-]*+[a-zA-Z_][\w-]*+"),  # 3f9ac1, 0x7f3a
    ("number", r"(?:(?<!\w)[+-])?\d++(?:[.,:_/-]\d++)*+"),
)
_PLACES: Final = re.compile(
    "|".join([f"(?P<status>{_STATUS})", *(f"(?P<{name}_{n}>{p})" for n, (name, p) in enumerate(_DETAILS))])
)


def fingerprint(service: str, kind: str, error_type: str, message: str, frame: str | None = None) -> str:
    """Fingerprint of a failure: 32 hexadecimal digits.

    Args:
        service: that failed.
        kind: of the task; empty if unknown.
        error_type: name of the exception.
        message: text of the exception.
        frame: deepest frame in the code of the service, if known.
    """
    parts = (service, kind, error_type, normalised(message), *([] if frame is None else [frame]))
    # Each with its length first, so that different parts never give the same text.
    content = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:FINGERPRINT_LENGTH]


def normalised(message: str) -> str:
    """The message with placeholders for details, on one line: `user <id> not found at <host>`."""
    return " ".join(_PLACES.sub(_placeholder, message[:MAX_LENGTH]).split())


def _placeholder(found: re.Match[str]) -> str:
    name = str(found.lastgroup).partition("_")[0]
    return found.group() if name == "status" else f"<{name}>"
