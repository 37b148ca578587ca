"""What is known of the object store where there are no files: its settings, keys and errors."""

from waybill_worker.storage.errors import ObjectMissing, ObjectTooLarge, StoreMisconfigured, StoreUnavailable
from waybill_worker.storage.keys import check_key, content_key
from waybill_worker.storage.settings import ObjectStoreSettings, S3Options, StoreSettings

__all__ = [
    "ObjectMissing",
    "ObjectStoreSettings",
    "ObjectTooLarge",
    "S3Options",
    "StoreMisconfigured",
    "StoreSettings",
    "StoreUnavailable",
    "check_key",
    "content_key",
]
