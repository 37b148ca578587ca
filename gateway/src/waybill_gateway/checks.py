"""What the routes of the built-in kinds demand of data, also where it comes over the general routes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from waybill_contracts.kinds import EmailRequested, SyncRequested, UserCreated
from waybill_gateway.emails import check_email
from waybill_gateway.runtime import DataCheck
from waybill_gateway.syncs import check_sync
from waybill_gateway.users import check_user

CHECKS: Final[Mapping[str, DataCheck]] = MappingProxyType(
    {EmailRequested.KIND: check_email, SyncRequested.KIND: check_sync, UserCreated.KIND: check_user}
)
