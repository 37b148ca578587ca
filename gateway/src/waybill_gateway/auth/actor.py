"""Who acts, as the audit trail names it."""

import re
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Header

from waybill_gateway.auth.caller import CallerDep
from waybill_gateway.http.problems import Problem

#: Whom nobody names.
ANONYMOUS = "anonymous"
#: It appears in logs and in the audit trail.
MAX_ACTOR = 128
_ACTOR_PATTERN = rf"^[\x20-\x7e]{{1,{MAX_ACTOR}}}$"
_ACTOR = re.compile(_ACTOR_PATTERN)


async def _actor(
    caller: CallerDep,
    x_actor: Annotated[
        str | None,
        # Only described here: below it is refused with words of its own.
        Header(description="Who acts, for the audit trail.", json_schema_extra={"pattern": _ACTOR_PATTERN}),
    ] = None,
) -> str:
    if x_actor is None:
        return caller.name or ANONYMOUS
    if not _ACTOR.match(x_actor):
        raise Problem(HTTPStatus.BAD_REQUEST, "bad_actor", "X-Actor is 1 to 128 printable ASCII characters.")
    if caller.name is None:
        return x_actor
    # What a caller says of himself is his word alone: whose key it was is not.
    with_key = f" (key {caller.name})"
    return x_actor[: MAX_ACTOR - len(with_key)] + with_key


#: Who acts, for a route's signature.
Actor = Annotated[str, Depends(_actor)]
