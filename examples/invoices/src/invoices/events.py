"""The kinds of tasks of the service: what may be asked of it."""

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from waybill import Event, Person, Sensitive

#: An amount of money, as a text in JSON: a float would lose cents.
Amount = Annotated[str, Field(pattern=r"^[0-9]{1,9}\.[0-9]{2}$")]


class Item(BaseModel):
    """A line of an invoice."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Annotated[str, Field(min_length=1, max_length=80)]
    count: Annotated[int, Field(ge=1, le=10_000)] = 1
    price: Amount

    @property
    def total(self) -> Decimal:
        """Price of all of it."""
        return self.count * Decimal(self.price)


class InvoiceRequested(Event, kind="invoice.requested", about="invoice of order {order_id}"):
    """An invoice to be rendered as PDF, and to be announced to its customer by mail."""

    order_id: Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,40}$")]
    email: Annotated[str, Field(max_length=254), Sensitive, Person]
    items: Annotated[tuple[Item, ...], Field(min_length=1, max_length=200)]
