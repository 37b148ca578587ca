"""FastAPI and Celery, results in Redis."""

import json
from collections.abc import Mapping, Sequence
from typing import ClassVar

from bench.place import Place
from bench.programs import Program, answers, python
from bench.systems.queues import consumed
from bench.systems.redis_results import RedisResults

#: The queue's name is Celery's default.
QUEUE = "celery"


class Celery:
    """See `System`."""

    NAME: ClassVar = "FastAPI + Celery"
    RECORDS: ClassVar = "result, in Redis's memory"
    SETUP: ClassVar = "quorum, confirms, acks late; prefork 1 (2 processes), prefetch 128"

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
                python("bench.apps.serve", "bench.apps.celery_app:api", str(place.api_port)),
                place.environment,
                answers(f"{place.api_url}/healthz"),
            ),
        )

    def working(self) -> Sequence[Program]:
        options = "--pool=prefork --concurrency=1 --loglevel=WARNING --without-gossip --without-mingle"
        return (
            Program(
                "worker",
                python("celery", "--app=bench.apps.celery_app", "worker", *options.split()),
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
            accepted, lambda value: json.loads(value)["status"] == "SUCCESS", prefix="celery-task-meta-"
        )

    def close(self) -> None:
        self._results.close()
