"""The settings of the status service."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from waybill_contracts.kinds import AcceptedAddress
from waybill_ledger import Persons, PersonSettings, StallTimeoutSettings
from waybill_ledger.retention import LEAST_DAYS_FAILED
from waybill_status.upkeep import Retention
from waybill_worker.runtime import DatabaseUrl, ProcessSettings, SealingSettings, Seconds


def _keeps_long_enough(days: float) -> float:
    if days and days < LEAST_DAYS_FAILED:
        raise ValueError(
            f"at least {LEAST_DAYS_FAILED} days, because a dead letter may wait for the desk; or 0 to keep "
            "them for good"
        )
    return days


class StatusSettings(StallTimeoutSettings, PersonSettings, SealingSettings, ProcessSettings):
    """Settings of the status service, besides those of every process."""

    ledger_url: DatabaseUrl = Field(description="Database of the ledger: sqlite:///file or postgresql://…")
    prefetch: int = Field(50, ge=1, le=1000, description="Batches of lifecycle events applied at once.")
    reconcile_look_seconds: Seconds = Field(5, description="Between two checks for overdue subtasks.")
    measure_seconds: Seconds = Field(15, description="Between two measurements for /metrics.")
    keep_days: float = Field(
        30, ge=0, description="How long completed and cancelled tasks are kept after their end; 0: for good."
    )
    keep_failed_days: Annotated[float, AfterValidator(_keeps_long_enough)] = Field(
        90,
        ge=0,
        description=f"How long failed tasks are kept, at least {LEAST_DAYS_FAILED} days; 0: for good.",
    )
    keep_keys_days: float = Field(
        30, ge=0, description="How long idempotency keys and expired reset tokens are kept; 0: for good."
    )
    prune_look_seconds: Seconds = Field(600, description="Between two passes of pruning.")
    ops_address: AcceptedAddress | None = Field(
        None, description="Recipient of mails about failed tasks; none: no mails."
    )
    alert_window_seconds: Seconds = Field(
        900, description="From the first failure to the digest about the others; longer while they continue."
    )
    alert_most_at_once: int = Field(
        5, ge=1, le=1000, description="New kinds of failure that get a mail of their own in one window."
    )
    alert_quiet_seconds: Seconds = Field(
        86_400, description="A kind of failure counts as new again after so long without one."
    )
    public_url: str = Field("http://127.0.0.1:8000", description="URL of the gateway, for links in mails.")

    def persons(self) -> Persons:
        """The maker of digests of the persons that spawned tasks are about.

        Raises:
            ValueError: there is no key, though payloads are sealed.
        """
        return self.digests(is_sealing=self.sealing == "on")

    @property
    def retention(self) -> Retention:
        """Retention times."""
        return Retention(_days(self.keep_days), _days(self.keep_failed_days), _days(self.keep_keys_days))


def _days(number: float) -> timedelta | None:
    return timedelta(days=number) if number else None
