"""FastAPI and Dramatiq without results: its outcome is only that the work was run."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from bench.place import Place
from bench.programs import Program, answers, python
from bench.systems.queues import consumed

#: The queue's name is Dramatiq's default.
QUEUE = "default"


class Dramatiq:
    """See `System`."""

    NAME: ClassVar = "FastAPI + Dramatiq"
    RECORDS: ClassVar = "nothing"
    SETUP: ClassVar = "quorum by a subclass, confirms; 1 process of 8 threads (2 processes), prefetch 100"

    def __init__(self, place: Place) -> None:
        self._place = place

    def prepare(self) -> None:
        return

    def accepting(self) -> Sequence[Program]:
        place = self._place
        return (
            Program(
                "api",
                python("bench.apps.serve", "bench.apps.dramatiq_app:api", str(place.api_port)),
                place.environment,
                answers(f"{place.api_url}/healthz"),
            ),
        )

    def working(self) -> Sequence[Program]:
        return (
            Program(
                "worker",
                python("dramatiq", "bench.apps.dramatiq_app:broker", "--processes", "1", "--threads", "8"),
                {**self._place.environment, "dramatiq_queue_prefetch": "100"},
                consumed(self._place.amqp_url, QUEUE),
            ),
        )

    def outstanding(self) -> int:
        return 0  # its 202 comes after the confirm

    def recorded(self, posted: int) -> int:
        return sum(map(bool, self._place.stamps.runs(posted)))

    def without_outcome(self, accepted: Mapping[str, int]) -> set[str]:
        runs = self._place.stamps.runs(max(accepted.values()) + 1)
        return {id_ for id_, number in accepted.items() if not runs[number]}

    def close(self) -> None:
        return
