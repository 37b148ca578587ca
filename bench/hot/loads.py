"""Processor time of a task when few or many come, and a pickup step by step: `python -m bench.hot.loads`.

Gateway, status and one service run on one broker. Tasks are posted at steady rates, and as fast as they are
accepted; of each load: processor time and wake-ups of a task by process, and the time from its POST to its
first line; and what the processes use while nothing comes. With another checkout, each tree has its own
processes, and both get each load in turn, so that a slow machine affects both; a ratio is the median of each
round's own. On a busy machine measure both ways round, and a tree beside itself, before you believe a ratio.
With `--steps` the processes note when each task passes each step, which costs them some microseconds.
"""

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count, pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Final

import uvloop

from bench.figures import nearest_rank
from bench.hot.trees import source_path
from bench.kit.installation import Installation, until
from bench.kit.load import Load
from bench.kit.place import Place
from bench.kit.programs import ROOT, Program, Running, python, start, stop
from bench.kit.stamps import STEPS, Steps
from bench.kit.usage import cpu_seconds, family, wake_ups
from bench.measure import CONNECTIONS, NANOSECONDS
from waybill_testkit.broker import Broker, private_broker

#: Tasks a second; 0: as many as are accepted.
RATES: Final = (20, 250, 0)
ROUNDS: Final = 5
SECONDS: Final = 8.0
#: Of the tasks, that are picked up within a time.
SHARES: Final = (0.5, 0.95, 0.99)
_WARM_UP_SECONDS: Final = 2.0
_PREFETCH: Final = {"WAYBILL_PREFETCH": "100"}


@dataclass
class _Loaded:
    """What one load came to, a value for each round."""

    processor: dict[str, list[float]] = field(default_factory=dict)
    waking: dict[str, list[float]] = field(default_factory=dict)
    rate: list[float] = field(default_factory=list)
    #: Milliseconds from the POST of a task to its first line, by share of the tasks.
    pickup: dict[float, list[float]] = field(default_factory=dict)
    #: The same from step to step, means.
    steps: dict[str, list[float]] = field(default_factory=dict)


class _Tree:
    """The processes of one checkout."""

    def __init__(
        self, stack: ExitStack, broker: Broker, root: Path, folder: Path, *, with_steps: bool
    ) -> None:
        self.root = root
        self._sources = {"PYTHONPATH": source_path(root)}
        self.loaded: dict[int, _Loaded] = {}
        #: Microseconds of a processor a second.
        self.resting: dict[str, list[float]] = {}
        amqp_url = broker.vhost_url(stack.enter_context(broker.vhost()))
        self._place = Place.fresh(folder, amqp_url=amqp_url, redis_url="")
        self._steps = Steps.beside(self._place.stamps) if with_steps else None
        ledger_url = f"sqlite:///{folder}/ledger.db"
        self._installation = Installation(self._place, ledger_url, f"sqlite:///{folder}/inbox.db")
        stack.callback(self._installation.close)
        # By its own release: the other's schema may be another.
        subprocess.run(  # noqa: S603 - a command of our own
            python("waybill_ledger", "upgrade", "--url", ledger_url),
            env=os.environ | self._sources,
            check=True,
        )
        self._running: list[Running] = []
        for programs in (
            [self._installation.status(), self._installation.gateway()],
            self._installation.services(1, _PREFETCH),
        ):
            self._running += start([self._of_tree(each) for each in programs], folder)
            stack.callback(stop, list(self._running))
        self._numbers, self._posted = count(), 0

    def put(self, rate: int, seconds: float, broker_pids: Sequence[int], *, counted: bool = True) -> None:
        """Puts one load on it, and waits until all is recorded."""
        first = self._posted
        watched = {each.program.role: each.pids() for each in self._running} | {"broker": list(broker_pids)}
        before = {role: (cpu_seconds(pids), wake_ups(pids)) for role, pids in watched.items()}
        load = Load(self._place.api_port, self._place.stamps, self._numbers)
        posted = uvloop.run(load.steady(rate, seconds) if rate else load.closed(CONNECTIONS, seconds))
        if posted.failures:
            raise SystemExit(f"{self.root}: {posted.failures[0]}")
        tasks = len(posted.accepted)
        self._posted += tasks
        completed = "SELECT count(*) FROM tasks WHERE state = 'completed'"
        until(lambda: self._installation.count(completed) == self._posted)
        if not counted:
            return
        loaded = self.loaded.setdefault(rate, _Loaded())
        for role, pids in watched.items():
            processor, waking = before[role]
            loaded.processor.setdefault(role, []).append(1e6 * (cpu_seconds(pids) - processor) / tasks)
            loaded.waking.setdefault(role, []).append((wake_ups(pids) - waking) / tasks)
        stamps = self._place.stamps
        sent, begun = stamps.sent(self._posted)[first:], stamps.begun(self._posted)[first:]
        loaded.rate.append(tasks / ((max(begun) - min(sent)) / NANOSECONDS))
        waits = [_milliseconds(b - s) for s, b in zip(sent, begun, strict=True)]
        for share in SHARES:
            loaded.pickup.setdefault(share, []).append(nearest_rank(waits, share))
        if self._steps is not None:
            took: dict[str, list[float]] = {}
            for number, (s, b) in enumerate(zip(sent, begun, strict=True), first):
                passed = {"sent": s} | self._steps.passed(number) | {"begun": b}
                for (_, earlier), (step, later) in pairwise(passed.items()):
                    took.setdefault(step, []).append(_milliseconds(later - earlier))
            for step, each in took.items():
                loaded.steps.setdefault(step, []).append(fmean(each))

    def rest(self, seconds: float) -> None:
        """Measures what the processes use meanwhile, without any task."""
        before = {each.program.role: each.cpu_seconds() for each in self._running}
        time.sleep(seconds)
        for each in self._running:
            spent = each.cpu_seconds() - before[each.program.role]
            self.resting.setdefault(each.program.role, []).append(1e6 * spent / seconds)

    def _of_tree(self, program: Program) -> Program:
        environment = dict(program.env) | self._sources
        argv = list(program.argv)
        if self._steps is not None:
            module = argv.index("-m") + 1
            argv[module:module] = ["bench.apps.stepping"]
        return Program(program.role, argv, environment, program.ready)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.hot.loads", description=__doc__)
    parser.add_argument("other", type=Path, nargs="?", help="root folder of another checkout of Waybill")
    parser.add_argument(
        "--rates", type=int, nargs="+", default=RATES, help="tasks a second; 0: all (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each load (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of a load (default: %(default)s)")
    parser.add_argument("--steps", action="store_true", help="show a pickup step by step")
    arguments = parser.parse_args()
    roots = [ROOT] if arguments.other is None else [arguments.other.resolve(), ROOT]
    with tempfile.TemporaryDirectory(prefix="waybill-loads-") as name, ExitStack() as stack:
        folder = Path(name)
        broker = stack.enter_context(private_broker(folder / "broker"))
        broker_pids = [pid for pid in family(os.getpid()) if pid != os.getpid()]
        trees = [
            _Tree(stack, broker, root, folder / f"tree-{number}", with_steps=arguments.steps)
            for number, root in enumerate(roots)
        ]
        for tree in trees:
            tree.put(0, _WARM_UP_SECONDS, broker_pids, counted=False)
        for tree in trees:
            tree.rest(arguments.seconds)
        for number in range(arguments.rounds):
            for rate in arguments.rates:
                # The first of a round has the same advantage or disadvantage as often.
                for tree in trees if number % 2 else reversed(trees):
                    tree.put(rate, arguments.seconds, broker_pids)
            print(f"round {number + 1} of {arguments.rounds}; load {os.getloadavg()[0]:.1f}", flush=True)
        for tree in trees:
            uses = ", ".join(f"{role} {median(spent):,.0f}" for role, spent in tree.resting.items())
            print(f"without tasks, us of a processor a second: {uses} in {tree.root}")
        for rate in arguments.rates:
            print(f"\n{_shown(rate, {str(tree.root): tree.loaded[rate] for tree in trees})}")


def _shown(rate: int, trees: Mapping[str, _Loaded]) -> str:
    loads = list(trees.values())
    head = f"{rate}/s" if rate else f"{median(loads[-1].rate):.0f}/s, as many as are accepted"
    lines = [f"| {head} | {' | '.join(trees)} | ratio |", "|---|" + "---:|" * (len(trees) + 1)]

    def row(title: str, values: Sequence[Sequence[float]], digits: int) -> None:
        cells = [f"{median(each):,.{digits}f}" for each in values]
        ratio = median(now / (old or 1) for old, now in zip(values[0], values[-1], strict=True))
        lines.append(f"| {' | '.join([title, *cells])} | {ratio:.2f} |")

    row("run, 1/s", [each.rate for each in loads], 0)
    for role in loads[0].processor:
        row(f"{role}: us of a processor a task", [each.processor[role] for each in loads], 0)
    for role in loads[0].waking:
        row(f"{role}: wake-ups a task", [each.waking[role] for each in loads], 1)
    for share in SHARES:
        row(f"pickup p{share * 100:.0f}, ms", [each.pickup[share] for each in loads], 1)
    for step in loads[0].steps:
        about = f"… until {STEPS[step]}" if step in STEPS else "… until it begins"
        row(f"{about}, mean, ms", [each.steps[step] for each in loads], 2)
    return "\n".join(lines)


def _milliseconds(nanoseconds: int) -> float:
    return nanoseconds / NANOSECONDS * 1000


if __name__ == "__main__":
    main()
