"""The object store: files by content address, in a folder or in S3."""

from waybill_worker.storage.object_store import (
    ObjectMissing,
    ObjectStore,
    ObjectTooLarge,
    StoreMisconfigured,
    StoreUnavailable,
    content_key,
)
from waybill_worker.storage.s3 import ObjectStoreSettings, StoreSettings

__all__ = [
    "ObjectMissing",
    "ObjectStore",
    "ObjectStoreSettings",
    "ObjectTooLarge",
    "StoreMisconfigured",
    "StoreSettings",
    "StoreUnavailable",
    "content_key",
]
