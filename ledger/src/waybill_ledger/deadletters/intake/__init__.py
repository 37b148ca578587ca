"""Intake of dead messages: each becomes a letter, and is counted into its group."""

from waybill_ledger.deadletters.intake.intake import take_in
from waybill_ledger.deadletters.intake.letter import DeadMessage, letter_of

__all__ = [
    "DeadMessage",
    "letter_of",
    "take_in",
]
