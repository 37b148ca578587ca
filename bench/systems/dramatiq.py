"""FastAPI and Dramatiq without results: its outcome is only that the work was run."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from bench.kit.programs import Program
from bench.systems.peer import Peer


class Dramatiq(Peer):
    """See `System`."""

    NAME: ClassVar = "FastAPI + Dramatiq"
    RECORDS: ClassVar = "nothing"
    SETUP: ClassVar = "quorum by a subclass, confirms; 1 process of 8 threads (2 processes), prefetch 100"
    API: ClassVar = "bench.apps.dramatiq_app:api"
    QUEUE: ClassVar = "default"

    def prepare(self) -> None:
        return

    def working(self) -> Sequence[Program]:
        options = "--processes 1 --threads 8"
        return self._worker(
            "dramatiq", "bench.apps.dramatiq_app:broker", *options.split(), dramatiq_queue_prefetch="100"
        )

    def recorded(self, posted: int) -> int:
        return sum(map(bool, self._place.stamps.runs(posted)))

    def without_outcome(self, accepted: Mapping[str, int]) -> set[str]:
        runs = self._place.stamps.runs(max(accepted.values()) + 1)
        return {id_ for id_, number in accepted.items() if not runs[number]}

    def close(self) -> None:
        return
