"""A message as the broker delivered it, reduced to what the pipeline needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class Acknowledger(Protocol):
    """The way back to the broker, for one delivery."""

    async def ack(self) -> None:
        """Tells the broker that the message is dealt with; if that is lost, it comes again."""

    @property
    def is_lost(self) -> bool:
        """Whether the channel that delivered is closed, so that the message comes again whatever we do."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of one message."""

    body: bytes
    headers: Mapping[str, Any]
    correlation_id: str | None
    priority: int | None
    acknowledger: Acknowledger
    #: The AMQP properties that are set, by name.
    properties: Mapping[str, Any] = field(default_factory=dict)
