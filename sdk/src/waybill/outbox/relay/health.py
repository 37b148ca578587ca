"""What a relay counts and logs: accepted and refused rows, and whether the gateway answers."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from waybill.outbox.relay.leases import Row

log = logging.getLogger("waybill.outbox")

#: Seconds between two lines of the log about one trouble that goes on.
_REMIND_SECONDS: Final = 60.0


@dataclass(slots=True)
class RelayHealth:
    """Counts since the start of the relay."""

    accepted_rows: int = 0
    refused_rows: int = 0
    #: Posts without an answer, or put off by the gateway.
    failed_posts: int = 0
    #: Whether the last post was answered.
    gateway_answers: bool = True
    _logged_at: dict[str, float] = field(default_factory=dict)

    def accepted(self, rows: Sequence[Row]) -> None:
        """Counts rows whose tasks are accepted."""
        self.accepted_rows += len(rows)
        self.answered()

    def answered(self) -> None:
        """Notes that the gateway has decided about rows."""
        if not self.gateway_answers:
            self.gateway_answers = True
            self._logged_at.clear()
            log.warning("the gateway answers for rows of the outbox again")

    def refused(self, row: Row, fault: str) -> None:
        """Counts and logs a row that was refused; its data is not logged."""
        self.refused_rows += 1
        log.error("a row of the outbox was refused: %s of kind %s: %s", row.id, row.kind, fault)

    def not_answered(self, detail: str) -> None:
        """Counts a post that is to be repeated."""
        self.failed_posts += 1
        self.gateway_answers = False
        if self._may_log("gateway"):
            log.error("the gateway does not accept rows of the outbox, which wait: %s", detail)

    def database_failed(self, error: Exception) -> None:
        """Logs that the database could not be used."""
        if self._may_log("database"):
            log.error("the database of the outbox cannot be used: %s", type(error).__name__)

    def _may_log(self, about: str) -> bool:
        now = time.monotonic()
        if now - self._logged_at.get(about, -_REMIND_SECONDS) < _REMIND_SECONDS:
            return False
        self._logged_at[about] = now
        return True
