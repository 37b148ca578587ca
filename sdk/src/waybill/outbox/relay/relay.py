"""The relay: posts the rows of an application outbox to the gateway until each is accepted or refused."""

import random
import time
from collections.abc import Sequence
from threading import Event
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from waybill.outbox.relay.health import RelayHealth
from waybill.outbox.relay.leases import Lease, Leases, Row
from waybill.outbox.relay.poster import Accepted, NotAnswered, Poster, Refused
from waybill.outbox.relay.wakers import Waker

#: The gateway takes so many tasks at once.
MAX_ROWS: Final = 1000
#: Seconds before the next post while the gateway accepts nothing: doubled each time.
_FIRST_WAIT: Final = 0.2
_LONGEST_WAIT: Final = 30.0
#: Seconds before a row is posted again that fails for itself, doubled each time.
_LONGEST_ROW_WAIT: Final = 3600.0
#: By how much a wait is varied, so that several relays do not return at once.
_SPREAD: Final = 0.2
#: Posts of one lease that search for the row that fails.
_MOST_PROBES: Final = 64


class Relay:
    """Posts rows, in bulk, and deletes those that are accepted.

    Args:
        leases: the rows.
        poster: posts them.
        waker: waits for more.
        health: what it counts, for metrics.
    """

    def __init__(self, leases: Leases, poster: Poster, waker: Waker, health: RelayHealth) -> None:
        self._leases = leases
        self._poster = poster
        self._waker = waker
        self._health = health
        #: Rows of the next lease: few while the gateway does not answer, so that few are in doubt.
        self._most = MAX_ROWS
        self._wait = _FIRST_WAIT

    def run(self, stop: Event) -> None:
        """Relays until `stop` is set; errors of database and gateway are logged, and it tries again."""
        while not stop.is_set():
            try:
                self._waker.mark()
                pause = self.relay_due(stop)
            except SQLAlchemyError as error:
                self._health.database_failed(error)
                pause = self._next_wait(None)
            if pause is None:
                self._waker.wait(stop)
            elif pause:
                stop.wait(pause)

    def relay_due(self, stop: Event) -> float | None:
        """Posts the rows that are due.

        Returns:
            Seconds to wait, because the gateway accepts nothing now; None: no row was due.
        """
        lease = self._leases.take(self._most)
        for row in lease.given_up:
            self._health.refused(row, "answer_lost")
        if not lease.rows:
            return None
        pause = _Posting(lease, self._leases, self._poster, self._health).run(stop)
        if pause is None:
            self._most = min(2 * self._most, MAX_ROWS)
            self._wait = _FIRST_WAIT
            return 0.0
        self._most = max(self._most // 2, 1)
        return self._next_wait(pause)

    def _next_wait(self, asked_for: float | None) -> float:
        wait, self._wait = self._wait, min(2 * self._wait, _LONGEST_WAIT)
        return max(wait, asked_for or 0.0) * random.uniform(1, 1 + _SPREAD)  # noqa: S311 - spreads relays


class _Posting:
    """The posts of one lease."""

    def __init__(self, lease: Lease, leases: Leases, poster: Poster, health: RelayHealth) -> None:
        self._lease = lease
        self._leases = leases
        self._poster = poster
        self._health = health
        self._chunks: list[Sequence[Row]] = [lease.rows]
        #: Order keys of rows that were not accepted, with the position of the first: those behind it wait.
        self._blocked: dict[str, int] = {}
        self._probes = 0
        self._accepted = 0

    def run(self, stop: Event) -> float | None:
        """Posts all rows.

        Returns:
            None; or, if the gateway accepts nothing now, the seconds that it asks to wait, or 0.
        """
        pause: float | None = None
        while self._chunks:
            rows = self._allowed(self._chunks.pop(0))
            if not rows:
                continue
            if stop.is_set() or time.monotonic() > self._lease.last_post_at:
                self._put_back_all(rows)
                break
            outcome = self._poster.post(rows)
            match outcome:
                case Accepted():
                    self._leases.delete(rows)
                    self._accepted += len(rows)
                    self._health.accepted(rows)
                case Refused():
                    self._health.answered()
                    self._on_refused(rows, outcome)
                case NotAnswered(is_of_rows=True) if self._probes < _MOST_PROBES:
                    self._probes += 1
                    self._search(rows, outcome)
                    pause = 0.0 if not self._accepted else None
                case NotAnswered():
                    self._health.not_answered(outcome.detail)
                    self._give_back(rows, outcome)
                    self._put_back_all(())
                    return outcome.retry_after or 0.0
        return None if self._accepted else pause

    def _allowed(self, rows: Sequence[Row]) -> Sequence[Row]:
        """The rows that need not wait for an earlier one; the others are given back."""
        if not self._blocked:
            return rows
        waiting = [row for row in rows if self._is_blocked(row)]
        if waiting:
            self._leases.give_back(self._lease, waiting, error=None, may_be_accepted=False)
        return [row for row in rows if not self._is_blocked(row)]

    def _is_blocked(self, row: Row) -> bool:
        return row.order_key is not None and row.position > self._blocked.get(row.order_key, row.position)

    def _on_refused(self, rows: Sequence[Row], outcome: Refused) -> None:
        if not outcome.faults and not outcome.past:
            if len(rows) > 1:
                self._split(rows)
            else:
                self._refuse([(rows[0], outcome.detail)])
            return
        past = [rows[place] for place in sorted(outcome.past)]
        self._leases.begin_at_once(self._lease, past)
        self._refuse([(rows[place], fault) for place, fault in sorted(outcome.faults.items())])
        self._block(past)
        named = outcome.faults.keys() | outcome.past
        self._chunks.insert(0, [row for place, row in enumerate(rows) if place not in named])

    def _refuse(self, faults: Sequence[tuple[Row, str]]) -> None:
        self._leases.refuse(self._lease, faults)
        self._block([row for row, _ in faults])
        for row, fault in faults:
            self._health.refused(row, fault)

    def _search(self, rows: Sequence[Row], outcome: NotAnswered) -> None:
        """Posts them in halves, down to the one that fails, which is posted again later."""
        if len(rows) > 1:
            self._split(rows)
            return
        self._health.not_answered(outcome.detail)
        wait = min(2.0 ** min(rows[0].attempts, 12), _LONGEST_ROW_WAIT)
        self._leases.give_back(
            self._lease, rows, after=wait, error=outcome.detail, may_be_accepted=outcome.may_be_accepted
        )
        self._block(rows)

    def _split(self, rows: Sequence[Row]) -> None:
        half = len(rows) // 2
        self._chunks[:0] = [rows[:half], rows[half:]]

    def _block(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if row.order_key is not None:
                first = self._blocked.get(row.order_key, row.position)
                self._blocked[row.order_key] = min(first, row.position)

    def _give_back(self, rows: Sequence[Row], outcome: NotAnswered) -> None:
        self._leases.give_back(
            self._lease, rows, error=outcome.detail, may_be_accepted=outcome.may_be_accepted
        )

    def _put_back_all(self, rows: Sequence[Row]) -> None:
        """Gives back what was not posted."""
        rest = [*rows, *(row for chunk in self._chunks for row in chunk)]
        self._chunks = []
        if rest:
            self._leases.give_back(self._lease, rest, error=None, may_be_accepted=False)
