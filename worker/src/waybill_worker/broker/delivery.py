"""A message as the broker delivered it, with what the pipeline needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class Acknowledger(Protocol):
    """Acknowledges one delivery."""

    async def ack(self) -> None:
        """Acknowledges the message; if the acknowledgement is lost, the message comes again."""

    @property
    def is_lost(self) -> bool:
        """Whether the channel that delivered it is closed, so that the message comes again in any case."""


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
