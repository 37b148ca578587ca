"""Requests for syncs."""

from waybill_contracts.kinds import SyncRequested
from waybill_gateway.tasks import Timing, shown


class PostSync(SyncRequested, Timing):
    """A record for a configured target."""

    model_config = shown(
        {"target": "crm", "resource": "contacts", "id": "ada-1", "data": {"city": "London", "vip": True}}
    )
