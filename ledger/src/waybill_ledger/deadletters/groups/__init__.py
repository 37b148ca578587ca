"""Groups of letters with the same fingerprint."""

from waybill_ledger.deadletters.groups.queries import (
    Group,
    GroupFilter,
    NewNote,
    get_group,
    list_groups,
    note,
)

__all__ = [
    "Group",
    "GroupFilter",
    "NewNote",
    "get_group",
    "list_groups",
    "note",
]
