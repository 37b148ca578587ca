"""FastAPI and SAQ: queue and results in Redis."""

import json
from collections.abc import Sequence
from typing import ClassVar

from bench.kit.programs import Program, python
from bench.systems.peer import RecordingPeer
from bench.systems.redis_results import waits_in_redis


class Saq(RecordingPeer):
    """See `System`."""

    NAME: ClassVar = "FastAPI + SAQ"
    RECORDS: ClassVar = "queue and result, in Redis's memory"
    SETUP: ClassVar = "no broker; 1 worker (1 process), 100 at once"
    API: ClassVar = "bench.apps.saq_app:api"
    QUEUE: ClassVar = "bench"
    PREFIX: ClassVar = "saq:job:bench:"

    def working(self) -> Sequence[Program]:
        argv = python("saq", "bench.apps.saq_app.settings")
        ready = waits_in_redis(self._place.redis_url, "blmove")
        return (Program("worker", argv, self._place.environment, ready),)

    def recorded(self, posted: int) -> int:
        # A job is a key from its beginning; those without an outcome are in a set.
        return posted - self._results.members(f"saq:{self.QUEUE}:incomplete")

    @staticmethod
    def _succeeded(result: bytes) -> bool:
        succeeded: bool = json.loads(result)["status"] == "complete"
        return succeeded
