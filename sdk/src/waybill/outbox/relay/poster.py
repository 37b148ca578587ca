"""Posting rows to the gateway: what is sent, and what an answer means for each row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from waybill.outbox.relay.leases import Row


@dataclass(frozen=True, slots=True)
class Accepted:
    """The tasks of all rows are accepted, now or by an earlier post."""


@dataclass(frozen=True, slots=True)
class Refused:
    """None is accepted, because some of them cannot be.

    Attributes:
        faults: what is wrong with them, by their place among the posted rows; empty: it is not said.
        detail: what the gateway says of all.
    """

    faults: Mapping[int, str]
    detail: str
    #: Those whose time has passed: only that is wrong with them.
    past: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class NotAnswered:
    """It is not known, or not yet decided, what becomes of them: they are to be posted again.

    Attributes:
        detail: what happened.
        is_accepted: they may have been accepted.
        retry_after: seconds after which the gateway asks for a repeat.
        is_of_rows: one of the rows may be the cause, not the gateway.
    """

    detail: str
    is_accepted: bool
    retry_after: float | None = None
    is_of_rows: bool = False


Outcome = Accepted | Refused | NotAnswered


class Poster(Protocol):
    """Posts rows."""

    def post(self, rows: Sequence[Row]) -> Outcome:
        """Posts rows together; either all of them are accepted, or none."""

    def close(self) -> None:
        """Closes its connections."""
