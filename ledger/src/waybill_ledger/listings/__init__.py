"""What listings share: cursors of their pages, and ids found by their beginning."""

from waybill_ledger.listings.cursors import BadCursorError, decoded_id, encoded_id
from waybill_ledger.listings.id_prefix import GROUP_DIGITS, KEY_DIGITS, begins_with
from waybill_ledger.listings.keyset_cursors import decoded_key, encoded_key

__all__ = [
    "GROUP_DIGITS",
    "KEY_DIGITS",
    "BadCursorError",
    "begins_with",
    "decoded_id",
    "decoded_key",
    "encoded_id",
    "encoded_key",
]
