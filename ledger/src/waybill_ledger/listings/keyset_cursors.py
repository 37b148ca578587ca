"""Cursors of the desk's listings: the sort key of a page's last row, made opaque."""

import base64
import binascii
import json
from typing import Final

from waybill_ledger.listings.cursors import BadCursorError

#: Beyond what either database holds in a column.
_MAX_INTEGER: Final = 2**63 - 1


def encoded(*key: int | str) -> str:
    """The cursor behind a row with this sort key."""
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def decoded(cursor: str, *types: type) -> list[int | str]:
    """The sort key of a cursor.

    Raises:
        BadCursorError: it is none that such a listing gave out.
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
        or any(isinstance(each, str) and "\0" in each for each in key)  # nor does PostgreSQL hold that
    ):
        raise BadCursorError("cursor is none that a listing gave out")
    return key
