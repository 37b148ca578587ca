"""The `Idempotency-Key` header: reading it, and telling calls of one key that run at the same time.

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

#: Visible ASCII, as generous as anyone's key; the draft writes it as a quoted string, many send it bare.
_PATTERN = r'^(?:"([\x21\x23-\x7e]{1,255})"|([\x21\x23-\x7e]{1,255}))$'
_KEY = re.compile(_PATTERN)

#: Its name.
KEY_HEADER = "Idempotency-Key"
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias=KEY_HEADER,
        description="Repeat a call with the same key and content, and it is answered as the first time.",
        # Only described here: `parse_key` refuses with its own words.
        json_schema_extra={"pattern": _PATTERN},
    ),
]


def parse_key(header: str | None) -> str | None:
    """The key within the header's value.

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
    """The keyed calls that this process is just answering."""

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
