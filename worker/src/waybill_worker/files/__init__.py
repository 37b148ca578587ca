"""The files of an attempt: those that its task refers to, and those that it writes."""

from waybill_worker.files.attempt_files import MAX_READ_BYTES, AttemptFiles, NoObjectStoreError

__all__ = [
    "MAX_READ_BYTES",
    "AttemptFiles",
    "NoObjectStoreError",
]
