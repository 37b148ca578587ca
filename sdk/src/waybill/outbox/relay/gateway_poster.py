"""Posts rows with `POST /v1/tasks/bulk`."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

import httpx

from waybill.outbox.relay.leases import Row
from waybill.outbox.relay.poster import Accepted, NotAnswered, Outcome, Refused

#: Seconds of one post.
POST_SECONDS: Final = 25.0
_CONNECT_SECONDS: Final = 5.0
#: A task in the place of an error.
_PLACE: Final = re.compile(r"^/?tasks[./](\d+)[./]?(.*)$")
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout)
_OF_ROWS: Final = frozenset({400, 413, 422})


class GatewayPoster:
    """Posts rows to one gateway."""

    def __init__(self, url: str, api_key: str | None) -> None:
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=httpx.Timeout(POST_SECONDS, connect=_CONNECT_SECONDS)
        )

    def post(self, rows: Sequence[Row]) -> Outcome:
        """Posts rows together."""
        try:
            answer = self._http.post("/v1/tasks/bulk", json={"tasks": [_document(row) for row in rows]})
        except httpx.HTTPError as error:
            return NotAnswered(type(error).__name__, is_accepted=not isinstance(error, _NOT_SENT))
        if answer.status_code == httpx.codes.ACCEPTED:
            return Accepted()
        problem = _problem(answer)
        detail = f"{problem['code']}: {problem['detail']}"
        if answer.status_code in _OF_ROWS:
            return _refused(problem, detail)
        asked = answer.headers.get("Retry-After", "")
        return NotAnswered(
            detail,
            is_accepted=answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR,
            retry_after=float(asked) if asked.isdecimal() else None,
            is_of_rows=answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR,
        )

    def close(self) -> None:
        """Closes its connections."""
        self._http.close()


def _document(row: Row) -> dict[str, Any]:
    stated = {
        "kind": row.kind,
        "version": row.version,
        "data": json.loads(row.data),
        "send_at": row.send_at,
        "priority": row.priority,
        "idempotency_key": row.key,
    }
    return {name: value for name, value in stated.items() if value is not None}


def _problem(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or "detail" not in body:
        return {"code": f"status {answer.status_code}", "detail": "no answer of a gateway", "errors": []}
    return {"errors": [], **body, "code": str(body.get("type", "")).rpartition(":")[2]}


def _refused(problem: dict[str, Any], detail: str) -> Refused:
    faults: dict[int, list[str]] = {}
    past: set[int] = set()
    for error in problem["errors"] or ():
        match = _PLACE.match(error["field"])
        if match is None:
            continue
        place, field = int(match[1]), match[2]
        if field == "send_at" and error["message"] == "is in the past":
            past.add(place)
        else:
            faults.setdefault(place, []).append(f"{field or 'task'}: {error['message']}")
    named = {place: f"{problem['code']}: {'; '.join(texts)}" for place, texts in faults.items()}
    return Refused(named, detail, frozenset(past - named.keys()))
