"""What the functions do: it knows neither Celery nor Waybill."""

from dataclasses import dataclass, field


class WarehouseAwayError(Exception):
    """The warehouse does not answer."""


@dataclass
class Warehouse:
    """A warehouse, and what it was asked for."""

    #: So many calls fail from now on.
    away_for: int = 0
    packed: list[str] = field(default_factory=list)
    announced: list[str] = field(default_factory=list)

    def pack(self, order: str) -> str:
        """Packs an order, and gives the number of its parcel."""
        if self.away_for > 0:
            self.away_for -= 1
            raise WarehouseAwayError("nobody picks up")
        self.packed.append(order)
        return f"parcel-{order}"

    def announce(self, order: str, parcel: str) -> None:
        """Mails the customer."""
        self.announced.append(f"{order}: {parcel}")


warehouse = Warehouse()
