"""Versions of contracts: golden schemas, compatibility, upcasters, reading events of any released version."""

from waybill_contracts.versions.event_reader import (
    NOTHING_OPENED,
    Fault,
    InvalidPayloadError,
    NewerVersionError,
    Opener,
    current_payload,
    json_object,
    opener,
    read_event,
)
from waybill_contracts.versions.schemas import contracts_version

__all__ = [
    "NOTHING_OPENED",
    "Fault",
    "InvalidPayloadError",
    "NewerVersionError",
    "Opener",
    "contracts_version",
    "current_payload",
    "json_object",
    "opener",
    "read_event",
]
