"""What the systems beside Waybill have in common: FastAPI before them, and Redis behind most of them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from bench.kit.load import Target
from bench.kit.place import Place
from bench.kit.programs import Program, answers, python
from bench.systems.queues import consumed
from bench.systems.redis_results import RedisResults


class Peer(ABC):
    """See `System`."""

    #: Where the application is that accepts.
    API: ClassVar[str]
    #: The queue's name is the system's default.
    QUEUE: ClassVar[str]
    NEEDS_POSTGRES: ClassVar[bool] = False
    BULK: ClassVar[tuple[Target, int] | None] = None

    def __init__(self, place: Place) -> None:
        self._place = place

    def accepting(self) -> Sequence[Program]:
        place = self._place
        return (
            Program(
                "api",
                python("bench.apps.serve", self.API, str(place.api_port)),
                place.environment,
                answers(f"{place.api_url}/healthz"),
            ),
        )

    def outstanding(self) -> int:
        return 0  # its 202 comes after the confirm

    def _worker(self, *command: str, **special: str) -> Sequence[Program]:
        environment = {**self._place.environment, **special}
        return (Program("worker", python(*command), environment, consumed(self._place.amqp_url, self.QUEUE)),)


class RecordingPeer(Peer):
    """A peer that keeps results in Redis."""

    RECORDS: ClassVar = "result, in Redis's memory"
    #: Before a task's id in the name of its result.
    PREFIX: ClassVar = ""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._results = RedisResults(place.redis_url)

    def prepare(self) -> None:
        self._results.clear()

    def recorded(self, posted: int) -> int:  # noqa: ARG002 - it is counted by the records
        return self._results.count()

    def without_outcome(self, accepted: Mapping[str, int]) -> set[str]:
        return self._results.without_success(accepted, self._succeeded, prefix=self.PREFIX)

    def close(self) -> None:
        self._results.close()

    @staticmethod
    @abstractmethod
    def _succeeded(result: bytes) -> bool:
        """Whether a result means success."""
