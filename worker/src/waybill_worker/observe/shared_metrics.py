"""Metrics of several processes as one: in files that they share, by the library's multiprocess mode.

Counts go on where a process that died left them. Gauges of a process end with it.
"""

import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

#: Where the library looks for the folder.
_FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
#: Before the number of a process in the names of its files. Programs that it starts inherit the folder, and
#: name theirs by process id.
_NUMBER: Final = "no"
#: Measures of a process that do not add up; the least of all processes is shown.
_NOT_ADDED: Final = frozenset({"process_start_time_seconds", "process_max_fds"})


def share_metrics(folder: Path, number: int) -> None:
    """Keeps the metrics that this process makes from now on in `folder`.

    Args:
        folder: the same for all processes.
        number: of this process, and later of the process that replaces it.
    """
    os.environ[_FOLDER_VARIABLE] = str(folder)
    named = f"{_NUMBER}{number}"
    values.ValueClass = values.MultiProcessValue(lambda: named)  # type: ignore[no-untyped-call]


def forget_gauges(folder: Path, number: int) -> None:
    """Ends the gauges of a process that has ended."""
    mark_process_dead(f"{_NUMBER}{number}", str(folder))  # type: ignore[no-untyped-call]


def shared_registry(folder: Path, pids: Sequence[int]) -> CollectorRegistry:
    """The metrics of all processes, and their memory, processor time and open files.

    Args:
        folder: of the metrics.
        pids: of the processes that run.
    """
    registry = CollectorRegistry()
    registry.register(_Files(folder))
    registry.register(_Processes(pids))
    return registry


class _Files(Collector):
    """The metrics in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        files = [str(path) for path in self._folder.glob(f"*_{_NUMBER}*.db")]
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return merged


class _Processes(Collector):
    """What `ProcessCollector` says about one process, of several."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids

    def collect(self) -> Iterable[Metric]:
        found: dict[str, Metric] = {}
        for pid in self._pids:
            for family in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                sum_ = found.setdefault(family.name, family)
                if sum_ is not family:
                    sum_.samples = [
                        one._replace(value=_together(family.name, one.value, other.value))
                        for one, other in zip(sum_.samples, family.samples, strict=True)
                    ]
        return found.values()


def _together(name: str, one: float, other: float) -> float:
    return min(one, other) if name in _NOT_ADDED else one + other
