"""Headers that a request may have only once: of two, it would be unclear which one counts."""

from http import HTTPStatus
from typing import Final

from starlette.types import Scope

from waybill_gateway.http.problems import Problem

#: The headers that the gateway reads; others, such as Accept, may have several lines.
SINGLE_HEADERS: Final = frozenset(
    {
        *(b"authorization", b"content-type", b"idempotency-key", b"last-event-id"),
        *(b"traceparent", b"x-actor", b"x-request-id"),
    }
)


def require_single(scope: Scope) -> None:
    """Refuses a request that repeats one of them.

    Raises:
        Problem: 400, names the header.
    """
    names = [name for name, _ in scope["headers"] if name in SINGLE_HEADERS]
    if len(names) == len(set(names)):
        return
    twice = ", ".join(sorted({name.decode() for name in names if names.count(name) > 1}))
    raise Problem(
        HTTPStatus.BAD_REQUEST,
        "repeated_header",
        f"This header was sent more than once: {twice}. Send it once, or not at all.",
    )
