"""The shop and its relays, for the time of a cell."""

from collections.abc import Sequence
from dataclasses import replace

from tests.crash.callers import Accepted
from tests.crash.ledger_file import query_file
from tests.crash.outbox.names import RELAY, SECOND_RELAY, SHOP
from tests.crash.stack import CrashStack, NotInTimeError, until


class ShopWithRelay:
    """A shop that takes orders, and what posts their events.

    Args:
        stack: where it runs.
    """

    def __init__(self, stack: CrashStack) -> None:
        self._stack = stack
        self._database = stack.processes[SHOP].database

    def begin(self) -> None:
        """Starts shop and relay."""
        self._start(SHOP, RELAY)

    def begin_second_relay(self) -> None:
        """Starts another relay beside the one that stands."""
        self._start(SECOND_RELAY)

    def finish(self, orders: Sequence[Accepted]) -> list[Accepted]:
        """Returns when all rows are relayed: the tasks of the orders; an order without one stays as it is.

        Raises:
            NotInTimeError: rows are left.
        """
        try:
            until(lambda: not self._rows(), "the outbox to be empty")
        finally:
            for name in (SHOP, RELAY, SECOND_RELAY):
                self._stack.processes[name].kill()
        tasks = self._stack.ledger.references([each.task_id for each in orders])
        return [replace(each, task_id=tasks.get(each.task_id, each.task_id)) for each in orders]

    def _rows(self) -> int:
        if self._database is None:
            raise NotInTimeError("the shop has no database")
        ((number,),) = query_file(self._database, "SELECT count(*) FROM waybill_outbox")
        return int(number)

    def _start(self, *names: str) -> None:
        processes = [self._stack.processes[name] for name in names]
        for process in processes:
            process.start()
        for process in processes:
            process.wait_ready()
