"""With Waybill: `waybill run bookshop.after:service --register`."""

from typing import Any

from waybill import Attempt, Client, Service, TransientError

from bookshop.warehouse import WarehouseAwayError, warehouse

service = Service("bookshop")


@service.task(attempts=5, base_seconds=1, soft_limit=30)
async def pack(attempt: Attempt, order: str) -> dict[str, str]:
    """Packs an order, and announces its parcel."""
    try:
        parcel = warehouse.pack(order)
    except WarehouseAwayError as error:
        raise TransientError(str(error)) from error
    attempt.submit(announce.event(order, parcel))
    return {"parcel": parcel}


@service.task
async def announce(order: str, parcel: str) -> None:
    """Mails the customer."""
    warehouse.announce(order, parcel)


@service.task
async def take_stock() -> dict[str, int]:
    """Counts what was packed."""
    return {"packed": len(warehouse.packed)}


def place(order: str) -> str:
    """Places an order; the id of its task."""
    return pack.submit(order).id


def place_later(order: str, seconds: int) -> str:
    """Places an order that is packed later; the id of its task."""
    return pack.using(delay_seconds=seconds).submit(order).id


def outcome(task_id: str) -> dict[str, Any]:
    """Waits for a task, and returns its result."""
    with Client() as client:
        return client.wait(task_id, 60).result or {}


def schedule() -> None:
    """What is done each night; to be called when the shop is deployed, as often as it is."""
    take_stock.schedule("stocktaking", cron="0 3 * * *")


def nightly() -> dict[str, str]:
    """Name and time of what is done each night."""
    with Client() as client:
        return {
            each.name: " ".join((each.cron or "").split()[:2]) for each in client.schedules.list()
        }
