"""The settings of the failure desk."""

from pydantic import Field

from waybill_worker.runtime.settings import DatabaseUrl, ProcessSettings, SealingSettings, Seconds


class DeskSettings(SealingSettings, ProcessSettings):
    """What the failure desk needs besides what every process does."""

    ledger_url: DatabaseUrl = Field(description="Database of the ledger: sqlite:///file or postgresql://…")
    prefetch: int = Field(100, ge=1, le=1000, description="Letters of each queue taken in at once.")
    settled_days: float = Field(
        30, gt=0, description="How long letters are kept whose redrive has ended, and redrives that have."
    )
    housekeeping_seconds: Seconds = Field(
        60, description="Between looks for letters to be checked again or forgotten."
    )
