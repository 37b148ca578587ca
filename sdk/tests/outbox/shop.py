"""An application with an outbox: its table, its events."""

from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Column, MetaData, String, Table

from waybill import Event, Person, Sensitive, outbox
from waybill.kinds import SyncRequested

METADATA = MetaData()
ORDERS = Table("orders", METADATA, Column("id", String(36), primary_key=True))
OUTBOX = outbox.add_table(METADATA)


class Ordered(Event, kind="order.placed", about="order {order_id}"):
    order_id: str
    email: Annotated[str | None, Sensitive, Person] = None
    note: str = Field("", max_length=5)


def record(number: int | str, **data: Any) -> Event:
    """An event of a kind that every installation has."""
    return SyncRequested(target="crm", resource="orders", id=str(number), data=data)
