"""A gateway that hands its records to Celery, and Celery's task; over RabbitMQ, or over Redis.

Settings from Celery 5.7's guide to optimizing (prefetch of 64 to 128 for short tasks; a broker pool of as
many connections as threads use it) and its page on RabbitMQ (quorum queues, confirms).
"""

import os
from typing import Any

from celery import Celery

from bench.apps.peer_api import Accepted, make_api
from bench.kit.payload import ROUTE, Record
from bench.kit.place import AMQP_VARIABLE, CELERY_REDIS_VARIABLE, REDIS_VARIABLE
from bench.kit.stamps import Stamps

#: AnyIO's default number of threads for synchronous routes.
_ROUTE_THREADS = 40

_queue = os.environ.get(CELERY_REDIS_VARIABLE)
app = Celery("bench", broker=_queue or os.environ[AMQP_VARIABLE], backend=os.environ[REDIS_VARIABLE])
if _queue is None:
    app.conf.update(task_default_queue_type="quorum", broker_transport_options={"confirm_publish": True})
app.conf.update(
    broker_pool_limit=_ROUTE_THREADS,
    task_acks_late=True,  # else a task is lost with its worker
    worker_prefetch_multiplier=128,
    worker_enable_remote_control=False,
)
_stamps = Stamps.from_environment()


def work(record: dict[str, Any]) -> dict[str, Any]:
    """The work."""
    _stamps.begin(int(record["id"]))
    return {"done": True}


sync_record = app.task(name="sync_record")(work)
api = make_api()


@api.post(ROUTE, status_code=202)
def post_sync(record: Record) -> Accepted:
    """Takes a record; on a thread, for Celery's client blocks."""
    return Accepted(id=sync_record.delay(record.model_dump()).id)
