"""What a form makes through the API, once: who sends it twice makes one thing, who changes it another."""

import hashlib
import secrets
from typing import Final

from starlette.datastructures import MutableHeaders

from waybill_gateway.http import KEY_HEADER
from waybill_gateway.tasks import Post
from waybill_gateway.ui.frame.page_route import Submitted

#: The field of a form with its random mark.
MARK_FIELD: Final = "mark"
_MARK_BYTES: Final = 12


def new_mark() -> str:
    """A random mark for a form."""
    return secrets.token_urlsafe(_MARK_BYTES)


def post_once(sent: Submitted, path: str, content: str) -> Post:
    """The post that a form stands for, with an idempotency key of its mark and its content.

    Args:
        sent: the form; one without a mark is a new one each time.
        path: of the operation of the API.
        content: what was filled in.
    """
    mark = sent.form.get(MARK_FIELD) or new_mark()
    key = hashlib.sha256(f"{mark} {content}".encode()).hexdigest()
    received = {KEY_HEADER.lower(): f"page-{key}"}
    return Post(path, received, sent.resources, sent.caller, MutableHeaders(raw=[]))
