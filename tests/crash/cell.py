"""Cells of the matrix: tasks are posted, a process stops at a boundary, and harm is done to it there.

Cells of one column run side by side, each on a stack of its own: most of their time is spent on waiting for
leases to run out and for retries to be due. A broker that is restarted is restarted under all of them.
"""

from collections.abc import Sequence
from dataclasses import replace

from tests.crash.callers import Callers, call_of, calls_of, prepare
from tests.crash.count import Count, count
from tests.crash.gates.gate import Armed
from tests.crash.harms import do_harm
from tests.crash.outbox.relays import ShopWithRelay
from tests.crash.rows import Flow, Harm, Row
from tests.crash.stack import PATIENCE, CrashStack, NotInTimeError
from tests.crash.team.registration import Registration


def run_cells(stacks: Sequence[CrashStack], rows: Sequence[Row], harm: Harm) -> list[Count]:
    """Runs a cell for each of `rows`, on one of `stacks` each.

    Raises:
        NotInTimeError: no process reached a boundary, or one did not come back.
    """
    cells = [_Cell(stack, row, harm) for stack, row in zip(stacks[: len(rows)], rows, strict=True)]
    try:
        for cell in cells:
            cell.begin()
        for cell in cells:
            cell.wait_reached()
        do_harm(harm, [(cell.stack, cell.harmed) for cell in cells], max(row.seconds_away for row in rows))
    finally:
        # Also after a failure: the next cells must find their stacks at rest.
        for cell in cells:
            cell.process.gate.open()
        counts = [cell.finish() for cell in cells]
    return counts


class _Cell:
    def __init__(self, stack: CrashStack, row: Row, harm: Harm) -> None:
        self.stack = stack
        self.process = stack.processes[row.process]
        self.harmed = stack.processes[row.harmed or row.process]
        self._row = row
        self._name = f"{row.name}-{harm}"
        self._calls = calls_of(row.flow, self._name)
        self._tasks_before = stack.ledger.number_of_tasks()
        self._callers: Callers | None = None
        self._registration = Registration(stack, self._name) if row.flow is Flow.REGISTER else None
        self._shop = ShopWithRelay(stack) if row.flow is Flow.OUTBOX else None

    def begin(self) -> None:
        if self._registration is not None:
            self._registration.clear()
        prepare(self.stack, self._row.flow, self._calls)
        self.process.gate.arm(Armed(self._row.point, self._row.passing, self._row.standing, self._name))
        if self._shop is not None:
            self._shop.begin()
        called = self.stack.gateway if self._shop is None else self.stack.shop
        self._callers = Callers(called, self._calls)
        if self._registration is not None:
            self._registration.begin()

    def wait_reached(self) -> None:
        if not self.process.gate.wait_reached(PATIENCE):
            raise NotInTimeError(f"{self._name}: {self.process.name} has not come to {self._row.point}")
        if self._shop is not None and self._row.has_second_relay:
            self._shop.begin_second_relay()

    def finish(self) -> Count:
        answers = self._callers.accepted() if self._callers is not None else []
        fault = None
        if self._shop is not None:
            try:
                answers = self._shop.finish(answers)
            except NotInTimeError as error:
                fault = str(error)
        if self._registration is not None and self._callers is not None:
            last = call_of(self._row.flow, f"{self._name}-last", len(self._calls))
            self._calls.append(last)
            try:
                self._registration.finish()
                answers += Callers(self.stack.gateway, [last]).accepted()
                self._registration.check(answers[-1].task_id)
            except NotInTimeError as error:
                fault = str(error)
        counted = count(self.stack, self._row.flow, self._calls, answers, self._tasks_before)
        # Not raised: the other cells of the batch have counts of their own.
        return (
            counted if fault is None else replace(counted, at_rest=False, remarks=(fault, *counted.remarks))
        )
