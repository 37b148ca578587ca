"""A registry that is as new as the ledger's."""

from waybill_contracts.registry import Registry
from waybill_gateway.runtime import Resources


async def fresh_registry(resources: Resources, revision: int = 0) -> Registry:
    """This gateway's copy of the registry, once it is as new as the ledger's is now.

    Args:
        resources: of the gateway.
        revision: the oldest that will do, of a change that was just committed.

    Raises:
        SQLAlchemyError: the ledger is unavailable.
    """
    await resources.kinds.refresh()
    # The reading that others waited for as well may have begun before the change.
    while resources.kinds.current.revision < revision:
        await resources.kinds.refresh()
    return resources.kinds.current
