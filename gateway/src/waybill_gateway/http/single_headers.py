"""Headers of which a request has one at most: of two, nobody could tell which one counts."""

from http import HTTPStatus
from typing import Final

from starlette.types import Scope

from waybill_gateway.http.problems import Problem

#: Those that are read here; others, such as Accept, may be given in several lines.
SINGLE: Final = frozenset(
    {b"authorization", b"content-type", b"idempotency-key", b"traceparent", b"x-actor", b"x-request-id"}
)


def require_single(scope: Scope) -> None:
    """Refuses a request with two of one of them.

    Raises:
        Problem: 400; says which.
    """
    names = [name for name, _ in scope["headers"] if name in SINGLE]
    if len(names) == len(set(names)):
        return
    twice = ", ".join(sorted({name.decode() for name in names if names.count(name) > 1}))
    raise Problem(
        HTTPStatus.BAD_REQUEST,
        "repeated_header",
        f"This header was sent more than once: {twice}. Send it once, or not at all.",
    )
