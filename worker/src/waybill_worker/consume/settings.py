"""The settings of a consuming service."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from waybill_worker.attempt import RetrySettings
from waybill_worker.runtime import DatabaseUrl, ProcessSettings, SealingSettings, Seconds
from waybill_worker.storage import StoreSettings

#: Days: an attempt that is pruned sooner might not be recognised when its message comes late.
LEAST_INBOX_DAYS: Final = 3


def _keeps_long_enough(days: float) -> float:
    # A message may wait on the delay ladder for a day and a half, and be snoozed for another day.
    if days and days < LEAST_INBOX_DAYS:
        raise ValueError(f"at least {LEAST_INBOX_DAYS} days, or 0 to keep them for good")
    return days


class ServiceSettings(StoreSettings, RetrySettings, SealingSettings, ProcessSettings):
    """Settings of each consuming service, besides those of its own.

    class InvoiceSettings(ServiceSettings):
        company: str = "ACME"

    service = Service("invoices", settings=InvoiceSettings)
    """

    inbox_url: DatabaseUrl = Field(description="Database of the inbox: sqlite:///file or postgresql://…")
    prefetch: int = Field(20, ge=1, le=1000, description="Messages in work at once: the concurrency.")
    lease_seconds: Seconds = Field(
        30,
        description="Time after which a claim without renewal is taken over; it is renewed thrice in it.",
    )
    inbox_keep_days: Annotated[float, AfterValidator(_keeps_long_enough)] = Field(
        45, description="How long attempts are recognised after their end, at least 3 days; 0: for good."
    )
