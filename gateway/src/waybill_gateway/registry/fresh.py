"""A registry that is as new as the ledger's."""

from waybill_contracts.registry import Registry
from waybill_gateway.runtime import Resources


async def fresh_registry(resources: Resources) -> Registry:
    """This gateway's copy of the registry, once it is as new as the ledger's is now.

    Args:
        resources: of the gateway.

    Raises:
        SQLAlchemyError: the ledger is unavailable.
    """
    await resources.kinds.refresh()
    return resources.kinds.current
