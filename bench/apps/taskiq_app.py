"""A gateway that hands its records to Taskiq, and Taskiq's task.

Settings from the documentation of Taskiq 0.13 and taskiq-aio-pika 0.6: quorum queues and confirmed,
persistent publishes are the defaults; `qos` is raised to the number of tasks that a worker runs at once.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from taskiq_aio_pika import AioPikaBroker
from taskiq_redis import RedisAsyncResultBackend

from bench.apps.peer_api import Accepted, make_api
from bench.kit.payload import ROUTE, Record
from bench.kit.place import AMQP_VARIABLE, REDIS_VARIABLE
from bench.kit.stamps import Stamps

broker = AioPikaBroker(os.environ[AMQP_VARIABLE], qos=100).with_result_backend(
    RedisAsyncResultBackend(os.environ[REDIS_VARIABLE])
)
_stamps = Stamps.from_environment()


async def work(record: dict[str, Any]) -> dict[str, Any]:
    """The work."""
    _stamps.begin(int(record["id"]))
    return {"done": True}


sync_record = broker.task(task_name="sync_record")(work)


@asynccontextmanager
async def _lifespan(_api: FastAPI) -> AsyncIterator[None]:
    await broker.startup()
    yield
    await broker.shutdown()


api = make_api(_lifespan)


@api.post(ROUTE, status_code=202)
async def post_sync(record: Record) -> Accepted:
    """Takes a record."""
    task = await sync_record.kiq(record.model_dump())
    return Accepted(id=task.task_id)
