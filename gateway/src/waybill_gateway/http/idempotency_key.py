"""The `Idempotency-Key` header: reading it, and telling calls of one key that run at the same time.

Source: IETF draft "The Idempotency-Key HTTP Header Field" (draft-ietf-httpapi-idempotency-key-header).
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated

from fastapi import Header

from waybill_gateway.http.problems import Problem
from waybill_gateway.person_digests import Persons
from waybill_ledger import IdempotentCall
from waybill_ledger.access.tenants import idempotency_scope

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


def keyed_call(
    persons: Persons, tenant: str, call: str, header: str | None, content: bytes
) -> IdempotentCall | None:
    """The call to be remembered, with its caller's tenant; None without a key.

    Args:
        persons: makes digests of what may be about one.
        tenant: the caller's.
        call: what the key is unique for.
        header: holds the key.
        content: what a repeat has the same of.

    Raises:
        Problem: 400, the header holds no key.
    """
    key = parse_key(header)
    if key is None:
        return None
    return IdempotentCall(
        idempotency_scope(tenant, call),
        key,
        persons.fingerprint(content),
        # Its rows are there for as long as idempotency keys are kept.
        former_fingerprint=hashlib.sha256(content).hexdigest(),
    )


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
