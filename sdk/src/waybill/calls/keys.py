"""Idempotency keys that a client makes."""

import os
import re
import time
from typing import Final

#: Visible ASCII without quotation marks, as the header takes it.
_KEY: Final = re.compile(r"[\x21\x23-\x7e]{1,255}")
_VERSION_7: Final = 7 << 76
_VARIANT: Final = 0b10 << 62
_RANDOM: Final = ~(0xF << 76 | 0b11 << 62)


def new_key() -> str:
    """A new idempotency key.

        key = new_key()  # kept with the order, it may be sent again by another process
        client.submit(event, key=key)

    It is a UUIDv7 (RFC 9562, 5.7), which begins with the time.
    """
    milliseconds = time.time_ns() // 1_000_000
    value = milliseconds << 80 | int.from_bytes(os.urandom(10))
    digits = f"{value & _RANDOM | _VERSION_7 | _VARIANT:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def checked_key(key: str) -> str:
    """The key, if the gateway takes it.

    Raises:
        ValueError: it does not.
    """
    if _KEY.fullmatch(key) is None:
        raise ValueError(
            "an idempotency key is 1 to 255 visible ASCII characters without spaces and quotation marks"
        )
    return key
