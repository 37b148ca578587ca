"""Dead letters: contract gate, queries, archiving, pruning."""

from waybill_ledger.deadletters.letters.archiving import GroupMove, Move, mark_group, move, would_move
from waybill_ledger.deadletters.letters.contract_gate import NOT_KEPT, Checked, ContractGate, Message
from waybill_ledger.deadletters.letters.erasure import discarded_values, erase_letters, lock_letters
from waybill_ledger.deadletters.letters.letter_detail import letter_detail, message_of, next_letter_details
from waybill_ledger.deadletters.letters.pruning import Pruning, delete_settled, has_wanted_letter, prune
from waybill_ledger.deadletters.letters.queries import (
    EFFECT,
    LETTERS_AND_TASKS,
    LetterFilter,
    conditions,
    list_letters,
)
from waybill_ledger.deadletters.letters.recheck import recheck_all
from waybill_ledger.deadletters.letters.waiting import waiting_letters, waiting_tasks

__all__ = [
    "EFFECT",
    "LETTERS_AND_TASKS",
    "NOT_KEPT",
    "Checked",
    "ContractGate",
    "GroupMove",
    "LetterFilter",
    "Message",
    "Move",
    "Pruning",
    "conditions",
    "delete_settled",
    "discarded_values",
    "erase_letters",
    "has_wanted_letter",
    "letter_detail",
    "list_letters",
    "lock_letters",
    "mark_group",
    "message_of",
    "move",
    "next_letter_details",
    "prune",
    "recheck_all",
    "waiting_letters",
    "waiting_tasks",
    "would_move",
]
