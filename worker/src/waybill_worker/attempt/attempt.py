"""What a handler may know about the attempt it runs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime


async def _unrecorded() -> None:
    """What `begin_effect` does where nobody keeps records: nothing."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a handler for one subtask; no broker types, so handlers are tested without a broker."""

    task_id: str
    service: str
    kind: str
    correlation_id: str
    #: Counted from 1, by us; a redelivery of the same message has the same number.
    attempt: int
    max_attempts: int
    #: How often an operator has redriven this subtask; 0 for the first life.
    redrive_no: int
    #: No attempt starts after this; None: no limit.
    deadline: datetime | None
    #: How often an operator has edited the payload.
    edit_no: int = 0
    #: How often this attempt was put off before.
    snooze_no: int = 0
    #: An earlier run or attempt may have had its effect, which no repeat can be told apart from.
    in_doubt: bool = False
    #: To be awaited right before an effect that no repeat can be told apart from: from then on the record
    #: says that it may have happened. Raises LeaseLostError if this run must not act any more.
    begin_effect: Callable[[], Awaitable[None]] = field(default=_unrecorded, compare=False)

    @property
    def effect_key(self) -> str:
        """The key under which the outside world may recognise a repeat of this subtask's effect.

        The same for all attempts and redrives: however often it runs, it is meant to happen once. A payload
        that was edited is another effect: under the old key its receiver would refuse it, or answer with
        what came of the old one.
        """
        key = f"{self.task_id}.{self.service}"
        return f"{key}.edit-{self.edit_no}" if self.edit_no else key
