"""A service of the team: kinds that it owns, of which one spawns another, and one is long."""

from tests.crash.team.kinds import Crm, CrmSettings, OrderCounted, OrderPacked, OrderPlaced, crm
from tests.crash.team.names import CHILDREN, OWNER
from waybill import Attempt, Service

#: Longer than a message may be held at the broker.
HOURS = 7200

service = Service(OWNER, settings=CrmSettings, resources=crm, release="1")
service.emits(OrderPacked)


@service.handles(OrderPlaced)
async def place(event: OrderPlaced, attempt: Attempt, to: Crm) -> dict[str, object]:
    """Asks for the parcels, and writes the order."""
    for number in range(CHILDREN):
        attempt.submit(OrderPacked(order_id=f"{event.order_id}-{number}"))
    await attempt.progress(0.5, "submitted; the record is next")
    await to.write(attempt, event.order_id)
    return {"parcels": CHILDREN}


@service.handles(OrderPacked)
async def pack(event: OrderPacked, attempt: Attempt, to: Crm) -> None:
    """Writes a parcel."""
    await to.write(attempt, event.order_id)


@service.handles(OrderCounted, hard_limit=HOURS)
async def count(event: OrderCounted, attempt: Attempt, to: Crm) -> None:
    """Writes a count."""
    await to.write(attempt, event.order_id)
