"""Cursors of listings in the order of ids, opaque to callers."""

import base64
import binascii
from uuid import UUID


class BadCursorError(ValueError):
    """The cursor was not issued by this listing."""


def encoded_id(task_id: str) -> str:
    """Cursor of a page that ends with this id."""
    return base64.urlsafe_b64encode(task_id.encode()).decode().rstrip("=")


def decoded_id(cursor: str) -> str:
    """Id that the previous page ended with.

    Raises:
        BadCursorError: `cursor` was not issued by this listing.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return str(UUID(base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")))
    except (binascii.Error, ValueError):
        raise BadCursorError("the cursor was not issued by this listing") from None
