"""Payloads without their sensitive values. Pure."""

from collections.abc import Collection
from typing import Any, Final

from waybill_contracts.privacy import is_sealed, mask_addresses

#: Shown in place of a sensitive value, and of one that an edit has set.
REDACTED: Final = "[redacted]"
CHANGED: Final = "[redacted, changed]"


def redacted_payload(payload: Any, sensitive: Collection[str], *, touched: Collection[str] = ()) -> Any:
    """A payload without sensitive fields, sealed values and mail addresses.

    Args:
        payload: JSON.
        sensitive: names of the fields that its contract marks, or that came sealed.
        touched: fields that an edit has set.
    """
    if not isinstance(payload, dict):
        return mask_addresses(payload) if isinstance(payload, str) else payload
    return {
        name: (CHANGED if name in touched else REDACTED)
        if name in sensitive or is_sealed(value)
        else mask_addresses(value)
        if isinstance(value, str)
        else value
        for name, value in payload.items()
    }
