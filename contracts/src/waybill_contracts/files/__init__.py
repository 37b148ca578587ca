"""Files of tasks: references to uploads, result files, and where both are in the object store."""

from waybill_contracts.files.file_ref import ContentType, FileKey, FileRef, ShownName, file_ref
from waybill_contracts.files.keys import RESULTS, is_of_results, is_owned, results_of, uploads_of
from waybill_contracts.files.result_file import (
    MAX_RESULT_FILES,
    RESULT_FILES,
    FileName,
    ResultFile,
    files_in,
)

__all__ = [
    "MAX_RESULT_FILES",
    "RESULTS",
    "RESULT_FILES",
    "ContentType",
    "FileKey",
    "FileName",
    "FileRef",
    "ResultFile",
    "ShownName",
    "file_ref",
    "files_in",
    "is_of_results",
    "is_owned",
    "results_of",
    "uploads_of",
]
