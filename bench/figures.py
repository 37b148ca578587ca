"""What is measured, and what one system's round came to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that is measured of each system."""

    key: str
    title: str
    unit: str
    #: Whether more of it is better.
    more_is_better: bool
    digits: int = 0


ACCEPTED: Final = Figure("accepted", "accepted", "1/s", more_is_better=True)
END_TO_END: Final = Figure("end_to_end", "end to end", "1/s", more_is_better=True)
DRAIN: Final = Figure("drain", "drain", "1/s", more_is_better=True)
RATE: Final = Figure("half_load", "half load", "1/s", more_is_better=True)
PICKUP_50: Final = Figure("pickup_p50", "pickup p50", "ms", more_is_better=False, digits=1)
PICKUP_95: Final = Figure("pickup_p95", "pickup p95", "ms", more_is_better=False, digits=1)
PICKUP_99: Final = Figure("pickup_p99", "pickup p99", "ms", more_is_better=False, digits=1)
FEW_50: Final = Figure("few_p50", "pickup at 20/s p50", "ms", more_is_better=False, digits=1)
FEW_95: Final = Figure("few_p95", "pickup at 20/s p95", "ms", more_is_better=False, digits=1)
FEW_99: Final = Figure("few_p99", "pickup at 20/s p99", "ms", more_is_better=False, digits=1)
#: The same of half load, and of few tasks.
PICKUP: Final = (PICKUP_50, PICKUP_95, PICKUP_99)
FEW: Final = (FEW_50, FEW_95, FEW_99)
BULK: Final = Figure("bulk", "accepted in bulk", "1/s", more_is_better=True)
BULK_CORE: Final = Figure("bulk_core", "in bulk, by a core of the gateway", "1/s", more_is_better=True)
FIGURES: Final = (ACCEPTED, END_TO_END, DRAIN, RATE, *PICKUP, *FEW, BULK, BULK_CORE)
#: Those for which a ratio means something: half load is another load for each.
COMPARED: Final = (ACCEPTED, END_TO_END, DRAIN)


#: The loads under which tasks are posted and run at once.
FULL_LOAD, HALF_LOAD, FEW_TASKS = "full load", "half load", "20/s"
#: Tasks a second of the last one, the same for all systems.
FEW_RATE: Final = 20


@dataclass(frozen=True, slots=True)
class Usage:
    """What the processes of one role used."""

    processes: int
    #: PSS before the first task, and after the last; 0 where it was not measured.
    idle_mb: float
    loaded_mb: float
    #: Processor time of a task, by load: `FULL_LOAD`, `HALF_LOAD`, `FEW_TASKS`.
    cpu_us_per_task: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Round:
    """What one system did in one round."""

    system: str
    values: dict[str, float] = field(default_factory=dict)
    usage: dict[str, Usage] = field(default_factory=dict)
    posted: int = 0
    run_twice: int = 0
    #: Why its figures must not be compared: posts that failed, tasks that are missing.
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Durations:
    """How long, in seconds, each load is put on each system, and how often all is done."""

    accepting: float
    end_to_end: float
    half_load: float
    few: float
    bulk: float
    rounds: int
    #: Messages of the raw pipeline.
    raw_messages: int
    warm_up: float = 1.0
    #: So long nothing more is recorded, and what is missing counts as missing.
    patience: float = 20.0


QUICK: Final = Durations(
    accepting=1.5, end_to_end=1.5, half_load=2, few=2, bulk=1, rounds=1, raw_messages=3000
)
FULL: Final = Durations(accepting=4, end_to_end=5, half_load=6, few=6, bulk=3, rounds=3, raw_messages=10_000)


def per_second(count: int, seconds: float) -> float:
    """A rate; 0 where nothing was done."""
    return count / seconds if count and seconds > 0 else 0.0


def percentiles(milliseconds: list[float], figures: Sequence[Figure]) -> Mapping[str, float]:
    """Pickup figures (p50, p95, p99) of a sample that is not empty: the nearest rank."""
    return {
        figure.key: nearest_rank(milliseconds, share)
        for figure, share in zip(figures, (0.50, 0.95, 0.99), strict=True)
    }


def nearest_rank(values: Sequence[float], share: float) -> float:
    """The value that `share` of a sample does not exceed: 0.99 for p99, 1 for the most; it is not empty."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
