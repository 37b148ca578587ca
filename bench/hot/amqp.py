"""Processor time of a publish, and of a delivery and its ack: `python -m bench.hot.amqp ../other`.

Of two source trees, on one broker. In turn a new process of each publishes, one message at a time and in
batches, and another consumes what was published: so that a slow machine affects both. The libraries are those
of this environment; only Waybill's own code differs.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final

import aio_pika

from bench.apps.amqp_client import WARMING
from bench.hot.trees import source_path
from bench.kit.place import AMQP_VARIABLE
from bench.kit.programs import ROOT
from waybill_contracts.registry import built_in_registry
from waybill_testkit.broker import private_broker
from waybill_worker.broker import topology

ROUNDS: Final = 9
#: Messages of a measurement.
COUNTED: Final = 3000
#: Publishes under way at once.
BATCHES: Final = (1, 5, 50)
CONSUME: Final = "deliver and acknowledge"
#: Largest ratio of this tree to the other.
TARGET: Final = 1.03


def main() -> None:
    """Runs the command line; ends with 1 if the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.hot.amqp", description=__doc__)
    parser.add_argument("other", type=Path, help="root folder of another checkout of Waybill")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each tree (default: %(default)s)")
    parser.add_argument(
        "--counted", type=int, default=COUNTED, help="messages in a measurement (default: %(default)s)"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="waybill-amqp-") as folder:
        ratios = compare(
            arguments.other.resolve(), Path(folder), rounds=arguments.rounds, counted=arguments.counted
        )
    sys.exit(1 if max(ratios.values()) > TARGET else 0)


def compare(other: Path, folder: Path, *, rounds: int, counted: int) -> Mapping[str, float]:
    """Measures, and prints what came of it.

    Args:
        other: root folder of the other checkout.
        folder: for the data of the broker.
        rounds: how often each tree does all.
        counted: messages in a measurement.

    Returns:
        Processor time of a message in this tree to that in the other, for each measurement: the median of
        each round's own ratio.
    """
    figures: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    with private_broker(folder / "broker") as broker, ExitStack() as stack:
        trees = [
            (side, {AMQP_VARIABLE: broker.vhost_url(stack.enter_context(broker.vhost()))}, source_path(tree))
            for side, tree in enumerate((other, ROOT))
        ]
        for _, environment, _ in trees:
            asyncio.run(_declare(environment[AMQP_VARIABLE]))
        for number in range(rounds):
            # The first of a round has the same advantage or disadvantage as often.
            for side, environment, path in trees if number % 2 else reversed(trees):
                for what, spent in _measure(environment | {"PYTHONPATH": path}, counted):
                    figures[what][side].append(spent)
            print(f"round {number + 1} of {rounds}; load {os.getloadavg()[0]:.1f}", flush=True)
    return {what: _show(what, *sides) for what, sides in figures.items()}


def _measure(environment: Mapping[str, str], counted: int) -> Sequence[tuple[str, float]]:
    measured = [
        (f"publish, {batch} at once", _run(environment, "publish", counted, batch)) for batch in BATCHES
    ]
    # All that was published, but for what the consumer takes after its last one.
    waiting = len(BATCHES) * (WARMING + counted)
    return [*measured, (CONSUME, _run(environment, "consume", waiting - WARMING))]


def _run(environment: Mapping[str, str], *arguments: object) -> float:
    argv = [sys.executable, "-m", "bench.apps.amqp_client", *map(str, arguments)]
    done = subprocess.run(  # noqa: S603 - our own program
        argv, env={**os.environ, **environment}, check=True, stdout=subprocess.PIPE, text=True
    )
    return float(done.stdout.splitlines()[-1])


def _show(what: str, others: list[float], ours: list[float]) -> float:
    ratios = [now / before for before, now in zip(others, ours, strict=True)]
    print(
        f"{what}: {median(others):.0f} us of a processor a message in the other tree, "
        f"{median(ours):.0f} in this; ratio {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
    )
    return median(ratios)


async def _declare(amqp_url: str) -> None:
    async with await aio_pika.connect(amqp_url) as connection, connection.channel() as channel:
        await topology.declare(channel, built_in_registry())


if __name__ == "__main__":
    main()
