"""States of letters, groups and redrives, and verdicts and effects of letters."""

from enum import StrEnum
from typing import Final

#: Actor of audit entries that the desk makes by itself.
DESK_ITSELF: Final = "the desk"


class LetterState(StrEnum):
    """State of a dead letter."""

    #: It waits for an operator.
    DEAD = "dead"
    #: Its redrive is under way: in the outbox, at the broker or in its service.
    REDRIVING = "redriving"
    #: Redriven, and completed.
    RECOVERED = "recovered"
    #: Redriven, and dead again: as another letter, with the next `redrive_no`.
    RETURNED = "returned"
    #: Redriven, and cancelled.
    CANCELLED = "cancelled"
    DISCARDED = "discarded"
    ARCHIVED = "archived"


class Verdict(StrEnum):
    """Result of checking the payload of a letter against the current contracts."""

    VALID = "valid"
    #: Of an older version that can be upcast.
    UPCASTABLE = "upcastable"
    UNFIXABLE = "unfixable"


class Effect(StrEnum):
    """What is known of the effect of a letter on other systems, which decides what a redrive does with it."""

    #: Its first attempt, and that of each redrive, was refused before an effect: a redrive runs it.
    NOT_DONE = "not_done"
    #: An attempt may have had its effect: a redrive runs it, and the key of the effect identifies a repeat.
    UNKNOWN = "unknown"
    # A redrive skips the rest.
    DONE = "done"
    CANCELLED = "cancelled"
    #: An attempt is being made, or its redrive is not settled.
    UNDER_WAY = "under_way"
    #: The ledger has no such task, so no outcome would be recorded.
    NO_TASK = "no_task"
    #: Its data was erased: there is nothing to send.
    ERASED = "erased"

    @property
    def is_skipped(self) -> bool:
        """Whether a redrive skips it."""
        return self not in {Effect.NOT_DONE, Effect.UNKNOWN}


class RedriveState(StrEnum):
    """State of a redrive."""

    #: Its letters are still being collected; it is not visible yet.
    MAKING = "making"
    PLANNED = "planned"
    RUNNING = "running"
    PAUSED = "paused"
    #: Stopped by itself.
    HALTED = "halted"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Phase(StrEnum):
    """Phase of a redrive."""

    #: A few letters are sent, and it waits for their outcomes.
    CANARY = "canary"
    FULL = "full"


class ItemState(StrEnum):
    """State of one letter of a redrive."""

    WAITING = "waiting"
    SENT = "sent"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class GroupState(StrEnum):
    """State of a group, from its letters and its history."""

    OPEN = "open"
    REDRIVING = "redriving"
    RESOLVED = "resolved"
    REGRESSED = "regressed"
    ARCHIVED = "archived"
