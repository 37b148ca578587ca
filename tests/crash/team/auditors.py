"""A service that handles a kind of another one too, from its registration on; its name is a setting."""

import os

from tests.crash.team.kinds import Crm, CrmSettings, OrderPacked, crm
from tests.crash.team.names import NAME_VARIABLE
from waybill import Attempt, Service

service = Service(os.environ[NAME_VARIABLE], settings=CrmSettings, resources=crm, release="1")


@service.handles(OrderPacked)
async def audit(event: OrderPacked, attempt: Attempt, to: Crm) -> None:
    """Writes what is known of a parcel."""
    await to.write(attempt, event.order_id)
