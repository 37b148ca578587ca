"""The files of an attempt: those that its task refers to, and those that it writes."""

from waybill_worker.files.attempt_files import AttemptFiles, NoObjectStoreError

__all__ = [
    "AttemptFiles",
    "NoObjectStoreError",
]
