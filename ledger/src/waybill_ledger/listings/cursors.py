"""Where the next page of a listing by task id begins, as text that means nothing to its reader."""

import base64
import binascii
from uuid import UUID


class BadCursorError(ValueError):
    """The cursor is none that a listing gave out."""


def encoded(task_id: str) -> str:
    """The cursor of a page that ended with this task."""
    return base64.urlsafe_b64encode(task_id.encode()).decode().rstrip("=")


def decoded(cursor: str) -> str:
    """The task that the page before ended with.

    Raises:
        BadCursorError: `cursor` is none of ours.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return str(UUID(base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")))
    except (binascii.Error, ValueError):
        raise BadCursorError("cursor is none that a listing gave out") from None
