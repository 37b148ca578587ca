"""Files in the object store: which are stored, which tasks refer to them, and which may be removed."""

from waybill_ledger.files.removal import (
    ABANDONED_AFTER,
    Mark,
    Removal,
    Renewal,
    delete_removed,
    mark_unused,
    renew_marks,
)
from waybill_ledger.files.uses import (
    StoredResults,
    Touch,
    keep_results,
    record_stored,
    release_files,
    touch_files,
    usable_files,
    use_files,
)

__all__ = [
    "ABANDONED_AFTER",
    "Mark",
    "Removal",
    "Renewal",
    "StoredResults",
    "Touch",
    "delete_removed",
    "keep_results",
    "mark_unused",
    "record_stored",
    "release_files",
    "renew_marks",
    "touch_files",
    "usable_files",
    "use_files",
]
