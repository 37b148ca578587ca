"""Selections of letters, and streams of JSON lines, for the routes of the failure desk."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any, Final

from waybill_contracts.privacy import mask_addresses
from waybill_gateway.auth import Caller
from waybill_gateway.desk.models import Filter, Selection
from waybill_ledger.deadletters import LetterState
from waybill_ledger.deadletters.letters import LetterFilter
from waybill_ledger.deadletters.redrives import shown_edits

JSON_LINES = "application/x-ndjson"
#: The description of an answer of JSON lines.
STREAMED_LINES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "One JSON object per line.",
        "content": {JSON_LINES: {"schema": {"type": "string"}}},
    }
}


def letter_filter(
    caller: Caller,
    asked: Filter | None,
    ids: list[int] | None = None,
    *,
    state: LetterState | None = None,
    task: str | None = None,
) -> LetterFilter:
    """The filter for the letters of a call."""
    fields = asked.model_dump(include=set(Filter.model_fields)) if asked is not None else {}
    return LetterFilter(**fields, ids=ids, state=state, task=task, tenant=caller.sees)


def selected(caller: Caller, selection: Selection) -> LetterFilter:
    """The filter for the letters of a body."""
    return letter_filter(caller, selection.filter, selection.ids)


def as_asked(body: Selection, sensitive: Collection[str]) -> dict[str, Any]:
    """The selection as the caller wrote it, for the record, without values of these fields."""
    asked: dict[str, Any] = body.model_dump(
        mode="json", exclude_none=True, include={"filter", "ids", "edits"}, exclude_defaults=True
    )
    if "edits" in asked:
        asked["edits"] = shown_edits(asked["edits"], sensitive)
    if "q" in asked.get("filter", {}):
        asked["filter"]["q"] = mask_addresses(asked["filter"]["q"])
    return asked


async def json_lines(
    next_rows: Callable[[Any], Awaitable[tuple[list[dict[str, Any]], Any]]], start: Any
) -> AsyncIterator[bytes]:
    """Rows as lines of JSON; only one page is in memory at a time.

    Args:
        next_rows: returns the rows behind a place, and the place of the last one; no rows at the end.
        start: where to begin.
    """
    place = start
    while True:
        rows, place = await next_rows(place)
        if not rows:
            return
        yield b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
