"""Payloads without their sensitive values. Pure."""

from collections.abc import Collection
from typing import Any, Final

from waybill_contracts.kinds import CATALOG
from waybill_contracts.privacy import is_sealed, mask_addresses

#: Shown in place of a sensitive value, and of one that an edit has set.
REDACTED: Final = "[redacted]"
CHANGED: Final = "[redacted, changed]"


def redacted_payload(
    kind: str | None, payload: Any, *, sensitive: Collection[str] = (), touched: Collection[str] = ()
) -> Any:
    """A payload without sensitive fields, sealed values and mail addresses.

    Args:
        kind: of its task; None if unknown.
        payload: JSON.
        sensitive: more sensitive fields than the contract names, because they came sealed.
        touched: fields that an edit has set.
    """
    if not isinstance(payload, dict):
        return mask_addresses(payload) if isinstance(payload, str) else payload
    of_kind = CATALOG[kind].event.sensitive_fields() if kind and kind in CATALOG else frozenset()
    hidden = of_kind.union(sensitive)
    return {
        name: (CHANGED if name in touched else REDACTED)
        if name in hidden or is_sealed(value)
        else mask_addresses(value)
        if isinstance(value, str)
        else value
        for name, value in payload.items()
    }
