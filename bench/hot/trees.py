"""Processor time of a message in the service of two source trees: `python -m bench.hot.trees ../other`.

Each tree has a work queue of its own on one broker. In turn a newly started service of each drains some of
its queue, which is then refilled, so that a slow machine affects both. The libraries are those of this
environment; only Waybill's own code differs.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final

from bench.kit.programs import ROOT
from bench.kit.usage import family
from bench.large.backlog import WARMING, Backlog
from waybill_testkit.broker import private_broker

ROUNDS: Final = 9
#: Tasks of a round.
COUNTED: Final = 6000
#: Largest ratio of this tree to the other.
TARGET: Final = 1.03


def main() -> None:
    """Runs the command line; ends with 1 if the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.hot.trees", description=__doc__)
    parser.add_argument("other", type=Path, help="root folder of another checkout of Waybill")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each tree (default: %(default)s)")
    parser.add_argument(
        "--counted", type=int, default=COUNTED, help="tasks in a round (default: %(default)s)"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="waybill-trees-") as folder:
        ratio = compare(
            arguments.other.resolve(), Path(folder), rounds=arguments.rounds, counted=arguments.counted
        )
    sys.exit(1 if ratio > TARGET else 0)


def compare(other: Path, folder: Path, *, rounds: int, counted: int) -> float:
    """Measures, and prints what came of it.

    Args:
        other: root folder of the other checkout.
        folder: for the data of broker and inboxes.
        rounds: how often each tree drains its queue for a while.
        counted: tasks in a round.

    Returns:
        Processor time of a message in this tree to that in the other: the median of each round's own ratio.
    """
    with private_broker(folder / "broker") as broker, ExitStack() as stack:
        pids = [pid for pid in family(os.getpid()) if pid != os.getpid()]
        before, now = (
            Backlog(
                broker.vhost_url(stack.enter_context(broker.vhost())),
                folder / name,
                2 * (WARMING + counted),
                {"PYTHONPATH": source_path(tree)},
            )
            for name, tree in (("other", other), ("this", ROOT))
        )
        for backlog in (before, now):
            asyncio.run(_fill(backlog))
        for number in range(rounds):
            # The first of a round has the same advantage or disadvantage as often.
            for backlog in (before, now) if number % 2 else (now, before):
                backlog.drain(pids, counted)
            print(
                f"round {number + 1} of {rounds}: {before.figures.service[-1]:.0f} and "
                f"{now.figures.service[-1]:.0f} us; load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
        for backlog in (before, now):
            asyncio.run(backlog.require_whole())
    ratios = [ours / others for others, ours in zip(before.figures.service, now.figures.service, strict=True)]
    print(
        f"service, us of a processor a message: {median(before.figures.service):.0f} in {other}, "
        f"{median(now.figures.service):.0f} in {ROOT}; ratio {median(ratios):.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f})"
    )
    return median(ratios)


async def _fill(backlog: Backlog) -> None:
    await backlog.declare()
    await backlog.publish(backlog.size)


def source_path(tree: Path) -> str:
    """Where Python finds the members of a tree, before those that are installed; and this benchmark."""
    sources = [*tree.glob("*/src"), *tree.glob("services/*/src")]
    if not sources:
        raise SystemExit(f"{tree} is no checkout of Waybill")
    return os.pathsep.join(map(str, [ROOT, *sources]))


if __name__ == "__main__":
    main()
