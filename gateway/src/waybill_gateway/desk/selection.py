"""What the failure desk's routes share."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Depends, Header

from waybill_contracts.privacy.mask import mask_addresses
from waybill_gateway.auth.caller import Caller, CallerDep
from waybill_gateway.desk.models import Filter, Selection
from waybill_gateway.http.problems import Problem
from waybill_ledger.deadletters.letters.queries import LetterFilter
from waybill_ledger.deadletters.redrives.edits import shown_edits
from waybill_ledger.deadletters.states import LetterState

#: Whom nobody names.
ANONYMOUS = "anonymous"
#: It appears in logs and in the audit trail.
MAX_ACTOR = 128
_ACTOR_PATTERN = rf"^[\x20-\x7e]{{1,{MAX_ACTOR}}}$"
_ACTOR = re.compile(_ACTOR_PATTERN)
JSON_LINES = "application/x-ndjson"
#: What a route that streams them is described to answer.
STREAMED_LINES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "A JSON object a line.",
        "content": {JSON_LINES: {"schema": {"type": "string"}}},
    }
}


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


def letter_filter(
    caller: Caller,
    asked: Filter | None,
    ids: list[int] | None = None,
    *,
    state: LetterState | None = None,
    task: str | None = None,
) -> LetterFilter:
    """The letters that a call means."""
    fields = asked.model_dump(include=set(Filter.model_fields)) if asked is not None else {}
    return LetterFilter(**fields, ids=ids, state=state, task=task, tenant=caller.sees)


def selected(caller: Caller, selection: Selection) -> LetterFilter:
    """The letters that a body means."""
    return letter_filter(caller, selection.filter, selection.ids)


def as_asked(body: Selection) -> dict[str, Any]:
    """What the caller wrote, as the record keeps it: nothing of what is sensitive."""
    asked: dict[str, Any] = body.model_dump(
        mode="json", exclude_none=True, include={"filter", "ids", "edits"}, exclude_defaults=True
    )
    if "edits" in asked:
        asked["edits"] = shown_edits(asked["edits"])
    if "q" in asked.get("filter", {}):
        asked["filter"]["q"] = mask_addresses(asked["filter"]["q"])
    return asked


async def json_lines(
    next_rows: Callable[[Any], Awaitable[tuple[list[dict[str, Any]], Any]]], start: Any
) -> AsyncIterator[bytes]:
    """Rows as lines of JSON, a page in memory at a time.

    Args:
        next_rows: gives the rows behind a place, and the place of the last; no rows at the end.
        start: where to begin.
    """
    place = start
    while True:
        rows, place = await next_rows(place)
        if not rows:
            return
        yield b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
