"""Processor time of a task by process of Waybill, by load, and by function.

Processor time of whole processes comes from /proc and is exact; within a process py-spy samples the holder of
the interpreter's lock a few hundred times a second, and its shares are applied to that time.
"""

import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

import uvloop

from bench.kit.load import Load, Posted
from bench.kit.place import Place
from bench.kit.programs import Running, start, stop
from bench.measure import CONNECTIONS
from bench.systems.waybill import Waybill
from waybill_testkit.broker import private_broker

#: Samples a second, seconds of each load, and functions shown of each process.
RATE, SECONDS, SHOWN = 400, 8, 40
#: py-spy goes on for so long after the posting, until all is recorded.
TAIL_SECONDS: Final = 4
#: What every stack begins with says nothing.
LEAST_SHARE, MOST_SHARE = 0.01, 0.9


def profile(results: Path) -> int:
    """Prints what each process costs for each task, and writes the folded stacks beside the other results."""
    with (
        tempfile.TemporaryDirectory(prefix="waybill-profile-") as folder,
        private_broker(Path(folder) / "broker") as broker,
        broker.vhost() as vhost,
    ):
        place = Place.fresh(Path(folder) / "place", amqp_url=broker.vhost_url(vhost), redis_url="")
        _Profile(place, results).run()
    return 0


class _Profile:
    def __init__(self, place: Place, results: Path) -> None:
        self._place = place
        self._results = results
        self._system = Waybill(place)
        self._numbers: Iterator[int] = count()
        self._accepted = 0

    def run(self) -> None:
        self._system.prepare()
        running: list[Running] = []
        try:
            running += start(self._system.accepting(), self._place.folder)
            workers = start(self._system.working(), self._place.folder)
            running += workers
            self._post(1)
            self._until_recorded()
            with self._watched("end to end", running) as done:
                done(self._post(SECONDS))
                self._until_recorded()
            stop(workers)
            running = [each for each in running if each not in workers]
            with self._watched("accept", running) as done:
                waiting = done(self._post(SECONDS))
                while self._system.outstanding():
                    time.sleep(0.05)
            running += start(self._system.working(), self._place.folder)
            with self._watched("drain", running) as done:
                done(waiting)
                self._until_recorded()
        finally:
            stop(running)
            self._system.close()

    def _post(self, seconds: float) -> int:
        load = Load(self._place.api_port, self._place.stamps, self._numbers)

        async def post() -> Posted:
            return await load.closed(CONNECTIONS, seconds)

        accepted = len(uvloop.run(post()).accepted)
        self._accepted += accepted
        return accepted

    def _until_recorded(self) -> None:
        while self._system.recorded(self._accepted) < self._accepted:
            time.sleep(0.05)

    @contextmanager
    def _watched(self, phase: str, running: list[Running]) -> Iterator[Callable[[int], int]]:
        watching = [self._watch(phase, each) for each in running]
        before = [each.cpu_seconds() for each in running]
        tasks = [0]

        def done(number: int) -> int:
            tasks[0] += number
            return number

        started = time.monotonic()
        yield done
        seconds = time.monotonic() - started
        print(f"\n## {phase}: {tasks[0]} tasks in {seconds:.1f} s")
        for each, cpu, (spy, stacks) in zip(running, before, watching, strict=True):
            microseconds = 1e6 * (each.cpu_seconds() - cpu) / tasks[0]
            spy.wait()
            print(f"\n{each.program.role}: {microseconds:.0f} µs of processor a task")
            for share, function in _shares(stacks):
                print(f"  {share * microseconds:5.0f} µs  {function}")

    def _watch(self, phase: str, running: Running) -> tuple[subprocess.Popen[bytes], Path]:
        stacks = self._results / f"stacks-{phase.replace(' ', '-')}-{running.program.role}.txt"
        program = Path(sys.executable).with_name("py-spy")
        seconds = str(SECONDS + TAIL_SECONDS)
        options = ["--gil", "--rate", str(RATE), "--duration", seconds, "--format", "raw"]
        argv = [str(program), "record", "--pid", str(running.process.pid), *options, "--output", str(stacks)]
        quiet = subprocess.DEVNULL
        return subprocess.Popen(argv, stdout=quiet, stderr=quiet), stacks  # noqa: S603 - fixed, no input


def _shares(stacks: Path) -> list[tuple[float, str]]:
    """The share of each function with all that it calls, the largest first."""
    inclusive: Counter[str] = Counter()
    total = 0
    for line in stacks.read_text().splitlines():
        frames, _, samples = line.rpartition(" ")
        total += int(samples)
        # Without the line within a function: a function is one entry.
        for function in {frame.rpartition(":")[0] + ")" for frame in frames.split(";") if ":" in frame}:
            inclusive[function] += int(samples)
    shares = [(samples / total, function) for function, samples in inclusive.most_common()]
    return [each for each in shares if LEAST_SHARE <= each[0] <= MOST_SHARE][:SHOWN]
