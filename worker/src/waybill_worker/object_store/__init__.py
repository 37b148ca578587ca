"""The object store itself: files by content address, in a folder or in S3; entered where there are files."""

from waybill_worker.object_store.store import ObjectStore

__all__ = ["ObjectStore"]
