"""The failure desk: dead letters, their groups and redrives."""

from waybill_ledger.deadletters.states import (
    DESK_ITSELF,
    Effect,
    GroupState,
    ItemState,
    LetterState,
    Phase,
    RedriveState,
    Verdict,
)

__all__ = [
    "DESK_ITSELF",
    "Effect",
    "GroupState",
    "ItemState",
    "LetterState",
    "Phase",
    "RedriveState",
    "Verdict",
]
