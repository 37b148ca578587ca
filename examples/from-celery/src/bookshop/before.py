"""With Celery: `celery -A bookshop.before worker --beat`."""

import os
from typing import Any

from celery import Celery, Task
from celery.schedules import crontab

from bookshop.warehouse import WarehouseAwayError, warehouse

app = Celery(
    "bookshop",
    broker=os.environ.get("CELERY_BROKER_URL", "memory://"),
    backend=os.environ.get("CELERY_RESULT_BACKEND", "cache+memory://"),
)
app.conf.beat_schedule = {
    "stocktaking": {"task": "bookshop.before.take_stock", "schedule": crontab(minute="0", hour="3")}
}


@app.task(bind=True, max_retries=4, acks_late=True, soft_time_limit=30)
def pack(self: Task, order: str) -> dict[str, str]:
    """Packs an order, and announces its parcel."""
    try:
        parcel = warehouse.pack(order)
    except WarehouseAwayError as error:
        raise self.retry(exc=error, countdown=1) from error
    announce.delay(order, parcel)
    return {"parcel": parcel}


@app.task
def announce(order: str, parcel: str) -> None:
    """Mails the customer."""
    warehouse.announce(order, parcel)


@app.task
def take_stock() -> dict[str, int]:
    """Counts what was packed."""
    return {"packed": len(warehouse.packed)}


def place(order: str) -> str:
    """Places an order; the id of its task."""
    return str(pack.delay(order).id)


def place_later(order: str, seconds: int) -> str:
    """Places an order that is packed later; the id of its task."""
    return str(pack.apply_async((order,), countdown=seconds).id)


def outcome(task_id: str) -> dict[str, Any]:
    """Waits for a task, and returns its result."""
    result: dict[str, Any] = pack.AsyncResult(task_id).get(timeout=60)
    return result


def nightly() -> dict[str, str]:
    """Name and time of what is done each night."""
    return {
        name: "{0._orig_minute} {0._orig_hour}".format(entry["schedule"])
        for name, entry in app.conf.beat_schedule.items()
    }
