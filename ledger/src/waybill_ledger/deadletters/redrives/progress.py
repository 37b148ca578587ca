"""How far a redrive is, and what it may do next. The rules are pure; the counts come from its letters."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select

from waybill_ledger.deadletters.states import ItemState, Phase
from waybill_ledger.schema.desk_tables import REDRIVE_LETTERS

#: After the canary there are at most so many on their way for each that came out well: a fault that shows
#: late meets a bounded number of letters, and the rate is still reached within a few rounds.
WIDENING: Final = 4
#: Letters sent in one transaction.
MAX_BATCH: Final = 100
#: How much of the rate one batch may hold: smaller ones go more smoothly, larger ones cost less.
BATCH_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Progress:
    """The letters of a redrive, by where they are."""

    waiting: int = 0
    sent: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    skipped: int = 0

    @property
    def left(self) -> int:
        """How many have been sent, whatever came of them."""
        return self.sent + self.succeeded + self.failed + self.cancelled

    @property
    def is_over(self) -> bool:
        """Whether nothing waits or is on its way."""
        return not self.waiting and not self.sent


def progress_of(connection: Connection, redrive_id: int) -> Progress:
    """Counts the letters of a redrive."""
    query = (
        select(REDRIVE_LETTERS.c.state, func.count().label("n"))
        .where(REDRIVE_LETTERS.c.redrive_id == redrive_id)
        .group_by(REDRIVE_LETTERS.c.state)
    )
    return Progress(**{ItemState(row.state).value: row.n for row in connection.execute(query)})


def batch_size(progress: Progress, phase: Phase, *, canary: int, canary_from: int, rate: float) -> int:
    """How many letters may be sent now, the rate's pauses apart.

    Args:
        progress: where the redrive's letters are.
        phase: in the canary phase no more than `canary` are sent before it has ended.
        canary: its size; 0: the operator wants none, and nothing holds back but the rate.
        canary_from: how many had been sent when it began.
        rate: letters a second.
    """
    allowed = min(progress.waiting, MAX_BATCH, max(1, round(rate * BATCH_SECONDS)))
    if phase is Phase.CANARY:
        return max(0, min(allowed, canary - (progress.left - canary_from)))
    if canary:
        window = max(canary, WIDENING * progress.succeeded)
        return max(0, min(allowed, window - progress.sent))
    return allowed


def canary_is_over(progress: Progress, *, canary: int, canary_from: int) -> bool:
    """Whether every canary has come out; one that failed would have halted the redrive."""
    all_sent = progress.left - canary_from >= canary or not progress.waiting
    return all_sent and not progress.sent
