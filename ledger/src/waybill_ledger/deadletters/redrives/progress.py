"""Progress of a redrive, and what it may send next. The rules are pure; the counts come from its letters."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select

from waybill_ledger.deadletters import ItemState, Phase
from waybill_ledger.schema import REDRIVE_LETTERS

#: After the canary, most letters under way for each success: a fault that shows late affects a bounded number
#: of letters, and the full rate is still reached within a few rounds.
WIDENING: Final = 4
#: Most letters in one transaction.
MAX_BATCH: Final = 100
#: Seconds of the rate in one batch: small batches are smoother, large ones cheaper.
BATCH_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Progress:
    """Number of letters of a redrive by state."""

    waiting: int = 0
    sent: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    skipped: int = 0

    @property
    def left(self) -> int:
        """Number of letters that were sent, with any outcome."""
        return self.sent + self.succeeded + self.failed + self.cancelled

    @property
    def is_over(self) -> bool:
        """Whether no letter waits or is under way."""
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
    """Number of letters that may be sent now, apart from the pauses of the rate.

    Args:
        progress: of the redrive.
        phase: in the canary phase at most `canary` letters are sent.
        canary: size of the canary; 0: no canary, and only the rate limits.
        canary_from: number of letters sent when the canary began.
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
    """Whether all canaries have their outcome; a failed one would have halted the redrive."""
    all_sent = progress.left - canary_from >= canary or not progress.waiting
    return all_sent and not progress.sent
