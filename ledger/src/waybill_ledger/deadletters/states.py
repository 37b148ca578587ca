"""The words of the failure desk: where letters and redrives are, and what is known of each letter."""

from enum import StrEnum
from typing import Final

#: Actor of audit entries that the desk makes by itself.
DESK_ITSELF: Final = "the desk"


class LetterState(StrEnum):
    """Where a dead letter is."""

    #: It waits for a person.
    DEAD = "dead"
    #: Its redrive is on its way: in the outbox, at the broker or with its service.
    REDRIVING = "redriving"
    #: Redriven, and completed.
    RECOVERED = "recovered"
    #: Redriven, and dead again: as a letter of its own, with the next `redrive_no`.
    RETURNED = "returned"
    #: Redriven, and called off.
    CANCELLED = "cancelled"
    DISCARDED = "discarded"
    ARCHIVED = "archived"


class Verdict(StrEnum):
    """What the contracts, as they are now, say to a letter's payload."""

    VALID = "valid"
    #: Of an older version that can be brought up.
    UPCASTABLE = "upcastable"
    UNFIXABLE = "unfixable"


class Effect(StrEnum):
    """What is known of a letter's effect on the outside world, and so what a redrive does with it."""

    #: Its first attempt, and that of each redrive, was refused before or instead of an effect: a redrive runs
    #: it.
    NOT_DONE = "not_done"
    #: An attempt ended without telling: a redrive runs it, and the effect's key is what tells a repeat.
    UNKNOWN = "unknown"
    # A redrive skips the rest.
    DONE = "done"
    CALLED_OFF = "called_off"
    #: An attempt is being made, or its redrive is not settled.
    UNDER_WAY = "under_way"
    #: The ledger has no such task, so nobody would account for it.
    NO_TASK = "no_task"
    #: Its person was erased: there is nothing that could be sent.
    ERASED = "erased"

    @property
    def is_skipped(self) -> bool:
        """Whether a redrive passes it over."""
        return self not in {Effect.NOT_DONE, Effect.UNKNOWN}


class RedriveState(StrEnum):
    """Where a redrive is."""

    #: Its letters are still being gathered; nobody sees it yet.
    MAKING = "making"
    PLANNED = "planned"
    RUNNING = "running"
    PAUSED = "paused"
    #: Stopped by itself.
    HALTED = "halted"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Phase(StrEnum):
    """How far a redrive trusts itself."""

    #: A few letters are out, and their outcomes are awaited.
    CANARY = "canary"
    FULL = "full"


class ItemState(StrEnum):
    """Where one letter of a redrive is."""

    WAITING = "waiting"
    SENT = "sent"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class GroupState(StrEnum):
    """Where a group of letters is; follows from its letters and from what happened to it."""

    OPEN = "open"
    REDRIVING = "redriving"
    RESOLVED = "resolved"
    REGRESSED = "regressed"
    ARCHIVED = "archived"
