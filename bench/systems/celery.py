"""FastAPI and Celery, results in Redis; the queue in RabbitMQ, or in Redis too."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from bench.kit.place import CELERY_REDIS_VARIABLE
from bench.kit.programs import Program
from bench.systems.peer import RecordingPeer
from bench.systems.redis_results import waits_in_redis


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


class CeleryOnRedis(Celery):
    """See `System`."""

    NAME: ClassVar = "FastAPI + Celery, Redis"
    RECORDS: ClassVar = "queue and result, in Redis's memory"
    SETUP: ClassVar = "no broker; acks late; prefork 1 (2 processes), prefetch 128"

    def accepting(self) -> Sequence[Program]:
        return tuple(self._with_queue(each) for each in super().accepting())

    def working(self) -> Sequence[Program]:
        waits = waits_in_redis(self._place.redis_url, "brpop")
        return tuple(replace(self._with_queue(each), ready=waits) for each in super().working())

    def _with_queue(self, program: Program) -> Program:
        queue = f"{self._place.redis_url.removesuffix('/0')}/1"
        return replace(program, env={**program.env, CELERY_REDIS_VARIABLE: queue})
