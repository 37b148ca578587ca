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
from waybill_contracts.versions.upcasters import UPCASTERS, Upcaster, Upcasters

__all__ = [
    "NOTHING_OPENED",
    "UPCASTERS",
    "Fault",
    "InvalidPayloadError",
    "NewerVersionError",
    "Opener",
    "Upcaster",
    "Upcasters",
    "current_payload",
    "json_object",
    "opener",
    "read_event",
]
