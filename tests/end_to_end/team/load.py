"""A steady load of built-in kinds and of the team's, from callers who each keep one connection."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx

from tests.end_to_end.team.books import BUSY, UNKNOWN

#: Pause of each caller after a post.
PAUSE_SECONDS = 0.4
#: Of so many orders, how many are unknown or busy: one.
ONE_OF = 10

Body = Callable[[int], dict[str, Any]]


@dataclass
class Load:
    """What is posted, and what was answered."""

    gateway: str
    #: Ids of the accepted tasks by kind.
    accepted: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    failures: list[str] = field(default_factory=list)
    #: Version and fields of the invoices that are posted now, beside order and amount.
    version: int = 1
    fields: dict[str, object] = field(default_factory=dict)
    _calling: list[asyncio.Task[None]] = field(default_factory=list)

    def begin(self, group: asyncio.TaskGroup) -> None:
        """Begins with the built-in kinds."""
        self._call(group, "email.requested", lambda n: _mail(f"load-{n}"))
        self._call(group, "sync.requested", _record)

    def begin_invoices(self, group: asyncio.TaskGroup) -> None:
        """Begins with the kinds of the team."""
        self._call(group, "invoice.requested", self._invoice, versioned=True)
        self._call(group, "invoice.filed", lambda n: {"order_id": f"by-hand-{n}"})

    async def end(self, *kinds: str) -> None:
        """Ends the calls of some kinds."""
        ending = [calling for calling in self._calling if calling.get_name() in kinds]
        for calling in ending:
            calling.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def post(self, client: httpx.AsyncClient, kind: str, data: dict[str, Any], **more: Any) -> str:
        """Posts a task, and returns its id."""
        answer = await client.post("/v1/tasks", json={"kind": kind, "data": data, **more})
        assert answer.status_code == HTTPStatus.ACCEPTED, answer.text
        task_id: str = answer.json()["id"]
        self.accepted[kind].append(task_id)
        return task_id

    def _call(self, group: asyncio.TaskGroup, kind: str, data: Body, *, versioned: bool = False) -> None:
        self._calling.append(group.create_task(self._calls(kind, data, versioned=versioned), name=kind))

    async def _calls(self, kind: str, data: Body, *, versioned: bool) -> None:
        async with httpx.AsyncClient(base_url=self.gateway, timeout=60, trust_env=False) as client:
            number = 0
            while True:
                more = {"version": self.version} if versioned else {}
                # Not interrupted between the request and its answer: what was accepted is to be known.
                posting = asyncio.ensure_future(self.post(client, kind, data(number), **more))
                try:
                    await asyncio.shield(posting)
                except asyncio.CancelledError:
                    await posting
                    raise
                except (httpx.HTTPError, AssertionError) as error:
                    self.failures.append(f"{kind} {number}: {error!r}")
                number += 1
                await asyncio.sleep(PAUSE_SECONDS)

    def _invoice(self, number: int) -> dict[str, Any]:
        name = {1: f"{UNKNOWN}-{number}", 2: f"{BUSY}-{number}"}.get(number % ONE_OF, f"order-{number}")
        return {"order_id": name, "amount": number, **self.fields}


def _mail(name: str) -> dict[str, Any]:
    return {"to": f"{name}@example.com", "subject": "Hello", "text": "Under load."}


def _record(number: int) -> dict[str, Any]:
    return {"target": "crm", "resource": "contacts", "id": f"load-{number}", "data": {"number": number}}
