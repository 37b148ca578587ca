"""Redrives: plan, edits, execution, settlement."""

from waybill_ledger.deadletters.redrives.control import Refused, Start, Steer, start, steer
from waybill_ledger.deadletters.redrives.edits import (
    BadPatchError,
    Edit,
    Edited,
    edited,
    require_patch,
    shown_edits,
)
from waybill_ledger.deadletters.redrives.execution import Turn, may_send, send
from waybill_ledger.deadletters.redrives.plan import (
    NewRedrive,
    NothingSelectedError,
    TooManyLettersError,
    make_redrive,
)
from waybill_ledger.deadletters.redrives.queries import (
    ItemFilter,
    Redrive,
    get_redrive,
    list_items,
    list_redrives,
)
from waybill_ledger.deadletters.redrives.settlement import Settlement, may_settle, redrives_under_way, settle

__all__ = [
    "BadPatchError",
    "Edit",
    "Edited",
    "ItemFilter",
    "NewRedrive",
    "NothingSelectedError",
    "Redrive",
    "Refused",
    "Settlement",
    "Start",
    "Steer",
    "TooManyLettersError",
    "Turn",
    "edited",
    "get_redrive",
    "list_items",
    "list_redrives",
    "make_redrive",
    "may_send",
    "may_settle",
    "redrives_under_way",
    "require_patch",
    "send",
    "settle",
    "shown_edits",
    "start",
    "steer",
]
