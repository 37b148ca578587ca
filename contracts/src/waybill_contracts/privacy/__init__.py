"""Protection of sensitive data: sealed in payloads, masked in texts."""

from waybill_contracts.privacy.mask import MASK, NO_MASK, Mask, mask_addresses
from waybill_contracts.privacy.seal import (
    NO_KEYS,
    Keyring,
    SealBrokenError,
    UnknownKeyError,
    is_sealed,
    may_be_sealed,
)

__all__ = [
    "MASK",
    "NO_KEYS",
    "NO_MASK",
    "Keyring",
    "Mask",
    "SealBrokenError",
    "UnknownKeyError",
    "is_sealed",
    "mask_addresses",
    "may_be_sealed",
]
