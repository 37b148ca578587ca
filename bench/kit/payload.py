"""The task that every system is given: a small record for another system, as JSON."""

import json
from typing import Any

from pydantic import BaseModel

#: The route that takes it, the same for all.
ROUTE = "/v1/syncs"
#: Beside the record's number, of which all systems know nothing before they run it.
_DATA = {
    "name": "Ann Example",
    "email": "ann@example.test",
    "city": "London",
    "plan": "team",
    "tags": ["new", "newsletter", "trial"],
    "seats": 12,
}


class Record(BaseModel):
    """The body of a POST, as an application built on a peer would declare it."""

    target: str
    resource: str
    id: str
    data: dict[str, Any]


def bulk_body(tasks: int, number: int) -> bytes:
    """The body of a post of several tasks, the first of them `tasks * number`."""
    first = tasks * number
    each = b", ".join(b'{"kind": "sync.requested", "data": %s}' % body(first + one) for one in range(tasks))
    return b'{"tasks": [%s]}' % each


def body(number: int) -> bytes:
    """The body of task `number`."""
    return json.dumps({"target": "crm", "resource": "contacts", "id": str(number), "data": _DATA}).encode()
