"""The `Idempotency-Key` header, and the calls with a key that are under way.

Source: IETF draft "The Idempotency-Key HTTP Header Field" (draft-ietf-httpapi-idempotency-key-header).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated

from fastapi import Header

from waybill_gateway.http.problems import Problem
from waybill_ledger import IdempotentCall

#: Visible ASCII. The draft specifies a quoted string; many clients send it without quotes.
_PATTERN = r'^(?:"([\x21\x23-\x7e]{1,255})"|([\x21\x23-\x7e]{1,255}))$'
_KEY = re.compile(_PATTERN)

#: The name of the header.
KEY_HEADER = "Idempotency-Key"
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias=KEY_HEADER,
        description="A repeat of a call with the same key and content is answered like the first call.",
        # For the description only: `parse_key` checks it, and its message is easier to read.
        json_schema_extra={"pattern": _PATTERN},
    ),
]


def parse_key(header: str | None) -> str | None:
    """The key in the value of the header; None without a header.

    Raises:
        Problem: 400, it is no key.
    """
    if header is None:
        return None
    match = _KEY.match(header)
    if match is None:
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "bad_idempotency_key",
            "Idempotency-Key is 1 to 255 visible ASCII characters without spaces, quoted or not.",
        )
    return match[1] or match[2]


class CallsUnderWay:
    """The calls with a key that this process is answering now."""

    def __init__(self) -> None:
        self._running: set[tuple[str, str]] = set()

    @contextmanager
    def only(self, call: IdempotentCall | None) -> Iterator[None]:
        """Holds the call's key for the length of the block.

        Raises:
            Problem: 409, a call with this key is under way.
        """
        if call is None:
            yield
            return
        key = (call.scope, call.key)
        if key in self._running:
            raise Problem(
                HTTPStatus.CONFLICT,
                "call_under_way",
                "A call with this Idempotency-Key is being answered just now. Repeat it in a moment.",
                headers={"Retry-After": "1"},
            )
        self._running.add(key)
        try:
            yield
        finally:
            self._running.discard(key)
