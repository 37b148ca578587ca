"""What a posting route knows of its request beside the body, and how OpenAPI describes that."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Final, Self

from fastapi import Depends, Header, Request, Response
from starlette.datastructures import MutableHeaders

from waybill_contracts.wire import accepted_traceparent, new_traceparent
from waybill_gateway.auth import Caller, current_caller
from waybill_gateway.http import KEY_HEADER, IdempotencyKey, parse_key
from waybill_gateway.runtime import Resources
from waybill_gateway.tasks.models import REQUEST_ID
from waybill_ledger import IdempotentCall
from waybill_ledger.schema import idempotency_scope

_REQUEST_ID: Final = re.compile(REQUEST_ID)
_KEY_NAME: Final = KEY_HEADER.lower()


@dataclass(frozen=True, slots=True)
class Post:
    """A posted request without its body."""

    #: Of its route.
    path: str
    #: Headers of the request that the gateway reads, by their names in small letters.
    received: Mapping[str, str]
    resources: Resources
    caller: Caller
    #: Headers of the answer; a route may add to them.
    headers: MutableHeaders

    @property
    def request_id(self) -> str | None:
        """The caller's name for this request; None if there is none, or it is malformed."""
        name = self.received.get("x-request-id")
        return name if name and _REQUEST_ID.fullmatch(name) else None

    def traceparent(self) -> str:
        """The caller's trace context; that of a new trace if there is none, or it is malformed."""
        return accepted_traceparent(self.received.get("traceparent")) or new_traceparent()

    def with_headers(self, received: Mapping[str, str]) -> Self:
        """The request as it would be with these headers."""
        return replace(self, received={**self.received, **received}) if received else self

    @property
    def key(self) -> str | None:
        """The Idempotency-Key; None: there is none.

        Raises:
            Problem: 400, the header holds no key.
        """
        return parse_key(self.received.get(_KEY_NAME))

    def keyed_call(self, content: Callable[[], str]) -> IdempotentCall | None:
        """The call with its Idempotency-Key, to be recorded; None without a key.

        Args:
            content: what a repeat of the call must have in common with it; only called if there is a key.

        Raises:
            Problem: 400, the header holds no key.
        """
        return self.call_of(self.key, f"POST {self.path}", content)

    def call_of(self, key: str | None, operation: str, content: Callable[[], str]) -> IdempotentCall | None:
        """The call of an operation with a key; None without a key."""
        if key is None:
            return None
        posted = content().encode()
        return IdempotentCall(
            idempotency_scope(self.caller.tenant, operation),
            key,
            self.resources.persons.fingerprint(posted),
            # Calls of the last release are found by it, while their keys are kept.
            former_fingerprint=hashlib.sha256(posted).hexdigest(),
        )


async def keyed_post(
    request: Request,
    response: Response,
    idempotency_key: IdempotencyKey = None,  # noqa: ARG001 - only described here, as those below
) -> Post:
    """The post of a request, with the header that every POST takes."""
    path, resources = request.scope["route"].path, request.app.state.resources
    return Post(path, request.headers, resources, await current_caller(request), response.headers)


async def task_post(
    request: Request,
    response: Response,
    idempotency_key: IdempotencyKey = None,
    x_request_id: Annotated[  # noqa: ARG001 - as said
        str | None, Header(description="Your name for this request; becomes the task's correlation_id.")
    ] = None,
    traceparent: Annotated[  # noqa: ARG001 - as said
        str | None, Header(description="W3C Trace Context: the trace that the task becomes part of.")
    ] = None,
) -> Post:
    """The post of a request that makes a task, with the headers that such a request takes."""
    return await keyed_post(request, response, idempotency_key)


#: The post, for the signature of a route that takes an Idempotency-Key.
KeyedPostDep = Annotated[Post, Depends(keyed_post)]
#: The post, for the signature of a route that makes a task.
PostDep = Annotated[Post, Depends(task_post)]
