"""When two failures are of one kind: same service, task kind, error type, and message but for its details.

What differs from one task to the next is taken out of a message: ids, numbers, times, addresses, hosts. What
tells one fault from another stays: its words, and the status with which the other side answered.
"""

import hashlib
import re
from typing import Final

#: Of a message: what tells the fault stands at its beginning, and every failure's is looked at.
MAX_LENGTH: Final = 500
#: Hexadecimal digits of a fingerprint: 128 bits.
FINGERPRINT_LENGTH: Final = 32

#: With these words before it, or where a sentence begins, a number from 400 to 599 is what the other side
#: answered; an SMTP reply has an enhanced status code behind it (RFC 3463).
_STATUS: Final = (
    r"(?:^|\b(?:answered|status|code|HTTP|HTTP/\d(?:\.\d)?)[ :=]|: )"
    r"[45]\d\d(?![\w.])(?:[ -][45]\.\d{1,3}\.\d{1,3}(?!\w))?"
)
#: Each detail's placeholder and how it looks; the first that fits counts. A detail begins where a word does,
#: and takes all it can (possessive quantifiers), so that no message makes the search slow.
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
    """The same for failures of one kind, in 32 hexadecimal digits.

    Args:
        service: whose failure it is.
        kind: of the task; empty if it is not known.
        error_type: the exception's name.
        message: the exception's words.
        frame: the deepest place in the service's own code, where it is known.
    """
    parts = (service, kind, error_type, normalised(message), *([] if frame is None else [frame]))
    # Each with its length before it, so that no two sets of parts read alike.
    content = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:FINGERPRINT_LENGTH]


def normalised(message: str) -> str:
    """The message without its details, on one line: `user <id> not found at <host>`."""
    return " ".join(_PLACES.sub(_placeholder, message[:MAX_LENGTH]).split())


def _placeholder(found: re.Match[str]) -> str:
    name = str(found.lastgroup).partition("_")[0]
    return found.group() if name == "status" else f"<{name}>"
