"""Files of tasks: references to uploads, result files, and where both are in the object store."""

from waybill_contracts.files.file_ref import ContentType, FileKey, FileRef, ShownName, file_ref
from waybill_contracts.files.keys import is_owned, uploads_of

__all__ = [
    "ContentType",
    "FileKey",
    "FileRef",
    "ShownName",
    "file_ref",
    "is_owned",
    "uploads_of",
]
