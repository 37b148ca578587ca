"""The latest events of all tasks, kept once for all who follow them."""

from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

from waybill_ledger.following import Change

#: Events that are kept; one who is further behind reads the ledger.
MOST_RECENT: Final = 5000

_number = attrgetter("seq")


class Recent:
    """Settled events in order, without a gap.

    Args:
        begins: number after which it has every event.
    """

    def __init__(self, begins: int) -> None:
        #: Number up to which it has every event.
        self.until = begins
        self._begins = begins
        self._changes: list[Change] = []

    def add(self, changes: Sequence[Change], until: int) -> None:
        """Adds the next events, which are all up to `until`."""
        self._changes += changes
        self.until = until
        if len(self._changes) > 2 * MOST_RECENT:
            # Half of it at a time, because each cut copies the list.
            self._begins = self._changes[-MOST_RECENT - 1].seq
            del self._changes[:-MOST_RECENT]

    def after(self, number: int) -> Sequence[Change] | None:
        """The events after this number; None: it does not reach back so far."""
        if number < self._begins:
            return None
        return self._changes[bisect_right(self._changes, number, key=_number) :]
