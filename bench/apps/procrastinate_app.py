"""A gateway that hands its records to Procrastinate, and Procrastinate's task.

Settings from the documentation of Procrastinate 3.10: an asynchronous connector on both sides; workers are
notified of new jobs, which is the default, and keep those that are done, so that there is a record. Jobs at
once: as many as the others have messages.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from procrastinate import App, PsycopgConnector

from bench.apps.peer_api import Accepted, make_api
from bench.kit.payload import ROUTE, Record
from bench.kit.place import POSTGRES_VARIABLE
from bench.kit.stamps import Stamps

#: Connections of each process.
_CONNECTIONS = 20

app = App(connector=PsycopgConnector(conninfo=os.environ[POSTGRES_VARIABLE], max_size=_CONNECTIONS))
_stamps = Stamps.from_environment()


async def work(record: dict[str, Any]) -> dict[str, Any]:
    """The work."""
    _stamps.begin(int(record["id"]))
    return {"done": True}


sync_record = app.task(name="sync_record")(work)


@asynccontextmanager
async def _lifespan(_api: FastAPI) -> AsyncIterator[None]:
    async with app.open_async():
        yield


api = make_api(_lifespan)


@api.post(ROUTE, status_code=202)
async def post_sync(record: Record) -> Accepted:
    """Takes a record."""
    return Accepted(id=str(await sync_record.defer_async(record=record.model_dump())))
