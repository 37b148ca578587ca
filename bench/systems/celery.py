"""FastAPI and Celery, results in Redis."""

import json
from collections.abc import Sequence
from typing import ClassVar

from bench.programs import Program
from bench.systems.peer import RecordingPeer


class Celery(RecordingPeer):
    """See `System`."""

    NAME: ClassVar = "FastAPI + Celery"
    SETUP: ClassVar = "quorum, confirms, acks late; prefork 1 (2 processes), prefetch 128"
    API: ClassVar = "bench.apps.celery_app:api"
    QUEUE: ClassVar = "celery"
    PREFIX: ClassVar = "celery-task-meta-"

    def working(self) -> Sequence[Program]:
        options = "--pool=prefork --concurrency=1 --loglevel=WARNING --without-gossip --without-mingle"
        return self._worker("celery", "--app=bench.apps.celery_app", "worker", *options.split())

    @staticmethod
    def _succeeded(result: bytes) -> bool:
        succeeded: bool = json.loads(result)["status"] == "SUCCESS"
        return succeeded
