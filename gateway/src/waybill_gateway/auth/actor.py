"""The actor of a call, as the audit trail names it."""

import re
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Header

from waybill_gateway.auth.caller import CallerDep
from waybill_gateway.http import Problem

#: The actor of a call that names none.
ANONYMOUS = "anonymous"
#: Characters of an actor, which appears in logs and in the audit trail.
MAX_ACTOR = 128
_ACTOR_PATTERN = rf"^[\x20-\x7e]{{1,{MAX_ACTOR}}}$"
_ACTOR = re.compile(_ACTOR_PATTERN)


async def _actor(
    caller: CallerDep,
    x_actor: Annotated[
        str | None,
        # For the description only: it is checked below, with a message that is easier to read.
        Header(
            description="The person who acts, for the audit trail.",
            json_schema_extra={"pattern": _ACTOR_PATTERN},
        ),
    ] = None,
) -> str:
    if x_actor is None:
        return caller.name or ANONYMOUS
    if not _ACTOR.match(x_actor):
        raise Problem(HTTPStatus.BAD_REQUEST, "bad_actor", "X-Actor is 1 to 128 printable ASCII characters.")
    if caller.name is None:
        return x_actor
    # A caller can write anything into X-Actor, but cannot hide its key.
    with_key = f" (key {caller.name})"
    return x_actor[: MAX_ACTOR - len(with_key)] + with_key


#: The actor, for a route's signature.
Actor = Annotated[str, Depends(_actor)]
