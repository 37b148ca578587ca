"""Cursors of listings with other sort keys: the key of the last row of a page, opaque to callers."""

import base64
import binascii
import json
from typing import Final

from waybill_ledger.listings.cursors import BadCursorError

#: Largest integer of a column.
_MAX_INTEGER: Final = 2**63 - 1


def encoded_key(*key: int | str) -> str:
    """Cursor of a page that ends with this sort key."""
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def decoded_key(cursor: str, *types: type) -> list[int | str]:
    """Sort key of a cursor.

    Raises:
        BadCursorError: the cursor was not issued by this listing.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        key = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        key = None
    if (
        not isinstance(key, list)
        or [type(each) for each in key] != list(types)
        or any(isinstance(each, int) and abs(each) > _MAX_INTEGER for each in key)
        or any(isinstance(each, str) and "\0" in each for each in key)  # PostgreSQL cannot hold NUL
    ):
        raise BadCursorError("the cursor was not issued by this listing")
    return key
