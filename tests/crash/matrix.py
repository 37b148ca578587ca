"""`make crash`: the crash matrix. Exits 0 only if nothing was lost and nothing doubled that is not declared.

`python -m tests.crash.matrix --row effect --row claim --column kill` runs some cells; the page is
written only when all of them were run.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic

from tests.crash.cell import run_cells
from tests.crash.count import Count
from tests.crash.rows import ROWS, Harm, Row, cells
from tests.crash.stack import CrashStack, NotInTimeError, running
from tests.crash.table import in_words, is_right, table, totals, write_page
from waybill_devstack.processes.serving import print_line
from waybill_testkit.broker import private_broker
from waybill_testkit.machine.container_setting import in_containers

#: Cells that run side by side: more would keep two cores busy instead of waiting.
STACKS = 4


def run_matrix(
    stacks: Sequence[CrashStack], rows: Sequence[Row], harms: Sequence[Harm]
) -> Iterator[tuple[Row, Harm, Count | NotInTimeError]]:
    """Runs the cells of `rows` and `harms`, as many side by side as there are stacks."""
    for harm in harms:
        column = [row for row, _ in cells(rows, [harm])]
        for first in range(0, len(column), len(stacks)):
            batch = column[first : first + len(stacks)]
            try:
                counts: Sequence[Count | NotInTimeError] = run_cells(stacks, batch, harm)
            except NotInTimeError as error:
                counts = [error] * len(batch)
            for row, counted in zip(batch, counts, strict=True):
                yield row, harm, counted


def main() -> int:
    """Runs the chosen cells and prints the counts."""
    arguments = _arguments()
    rows = [row for row in ROWS if not arguments.row or row.name in arguments.row]
    harms = arguments.column or list(Harm)
    folder = Path(tempfile.mkdtemp(prefix="waybill-crash-"))
    number = len(cells(rows, harms))
    print_line(f"crash matrix: {number} cells; logs in {folder}")
    began = monotonic()
    counts: dict[tuple[Row, Harm], Count] = {}
    with (
        private_broker(folder / "broker", in_container=in_containers(), disposable=True) as broker,
        running(folder, broker, min(STACKS, len(rows))) as stacks,
    ):
        for row, harm, counted in run_matrix(stacks, rows, harms):
            if isinstance(counted, Count):
                counts[row, harm] = counted
            print_line(f"{monotonic() - began:4.0f} s  {in_words(row, harm, counted)}")
        sys.stdout.write(f"\n{table(counts)}\n\n{totals(counts)}\n")
        if len(counts) == len(cells(ROWS, list(Harm))):
            write_page(counts, broker, monotonic() - began)
    right = all(is_right(row, harm, count) for (row, harm), count in counts.items())
    return 0 if right and len(counts) == number else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", action="append", choices=[row.name for row in ROWS], help="some rows only")
    parser.add_argument("--column", action="append", type=Harm, choices=list(Harm), help="some columns only")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
