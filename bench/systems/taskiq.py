"""FastAPI and Taskiq over aio-pika, results in Redis; quorum queues are its default."""

import pickle
from collections.abc import Mapping, Sequence
from typing import ClassVar

from bench.place import Place
from bench.programs import Program, answers, python
from bench.systems.queues import consumed
from bench.systems.redis_results import RedisResults

#: The queue's name is Taskiq's default.
QUEUE = "taskiq"


class Taskiq:
    """See `System`."""

    NAME: ClassVar = "FastAPI + Taskiq"
    RECORDS: ClassVar = "result, in Redis's memory"
    SETUP: ClassVar = "quorum, confirms, ack when saved; 1 worker (2 processes), prefetch 100"

    def __init__(self, place: Place) -> None:
        self._place = place
        self._results = RedisResults(place.redis_url)

    def prepare(self) -> None:
        self._results.clear()

    def accepting(self) -> Sequence[Program]:
        place = self._place
        return (
            Program(
                "api",
                python("bench.apps.serve", "bench.apps.taskiq_app:api", str(place.api_port)),
                place.environment,
                answers(f"{place.api_url}/healthz"),
            ),
        )

    def working(self) -> Sequence[Program]:
        options = "--workers 1 --max-async-tasks 100 --ack-type when_saved --log-level WARNING"
        return (
            Program(
                "worker",
                python("taskiq", "worker", "bench.apps.taskiq_app:broker", *options.split()),
                self._place.environment,
                consumed(self._place.amqp_url, QUEUE),
            ),
        )

    def outstanding(self) -> int:
        return 0  # its 202 comes after the confirm

    def recorded(self, posted: int) -> int:  # noqa: ARG002 - it is counted by the records
        return self._results.count()

    def without_outcome(self, accepted: Mapping[str, int]) -> set[str]:
        return self._results.without_success(
            accepted,
            lambda value: not pickle.loads(value)["is_err"],  # noqa: S301 - of our own processes
        )

    def close(self) -> None:
        self._results.close()
