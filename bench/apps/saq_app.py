"""A gateway that hands its records to SAQ, and SAQ's task.

Settings from the documentation of SAQ 0.26: as many jobs at once as the others have messages; all else is its
default. Its client of Redis is that of the others.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from saq import Queue

from bench.apps.peer_api import Accepted, make_api
from bench.kit.payload import ROUTE, Record
from bench.kit.place import REDIS_VARIABLE
from bench.kit.stamps import Stamps

#: Jobs that a worker runs at once; each waits for work on a connection of its own, of which the client opens
#: 100 by default.
CONCURRENCY = 100
queue = Queue.from_url(f"{os.environ[REDIS_VARIABLE]}?max_connections={3 * CONCURRENCY}", name="bench")
_stamps = Stamps.from_environment()


async def sync_record(_context: dict[str, Any], *, record: dict[str, Any]) -> dict[str, Any]:
    """The work."""
    _stamps.begin(int(record["id"]))
    return {"done": True}


settings = {"queue": queue, "functions": [sync_record], "concurrency": CONCURRENCY}


@asynccontextmanager
async def _lifespan(_api: FastAPI) -> AsyncIterator[None]:
    await queue.connect()
    yield
    await queue.disconnect()


api = make_api(_lifespan)


@api.post(ROUTE, status_code=202)
async def post_sync(record: Record) -> Accepted:
    """Takes a record."""
    job = await queue.enqueue("sync_record", record=record.model_dump())
    if job is None:
        raise RuntimeError("it was not put into the queue")
    return Accepted(id=job.key)
