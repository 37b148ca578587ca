"""FastAPI and Taskiq over aio-pika, results in Redis; quorum queues are its default."""

import pickle
from collections.abc import Sequence
from typing import ClassVar

from bench.kit.programs import Program
from bench.systems.peer import RecordingPeer


class Taskiq(RecordingPeer):
    """See `System`."""

    NAME: ClassVar = "FastAPI + Taskiq"
    SETUP: ClassVar = "quorum, confirms, ack when saved; 1 worker (2 processes), prefetch 100"
    API: ClassVar = "bench.apps.taskiq_app:api"
    QUEUE: ClassVar = "taskiq"

    def working(self) -> Sequence[Program]:
        options = "--workers 1 --max-async-tasks 100 --ack-type when_saved --log-level WARNING"
        return self._worker("taskiq", "worker", "bench.apps.taskiq_app:broker", *options.split())

    @staticmethod
    def _succeeded(result: bytes) -> bool:
        return not pickle.loads(result)["is_err"]  # noqa: S301 - of our own processes
