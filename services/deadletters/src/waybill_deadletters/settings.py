"""The settings of the failure desk."""

from pydantic import Field

from waybill_worker.runtime import DatabaseUrl, ProcessSettings, SealingSettings, Seconds


class DeskSettings(SealingSettings, ProcessSettings):
    """Settings of the failure desk, besides those of every process."""

    ledger_url: DatabaseUrl = Field(description="Database of the ledger: sqlite:///file or postgresql://…")
    prefetch: int = Field(100, ge=1, le=1000, description="Letters of each queue taken in at once.")
    settled_days: float = Field(
        30, gt=0, description="How long redriven letters and ended redrives are kept."
    )
    housekeeping_seconds: Seconds = Field(
        60, description="Between checks for letters to check again or to prune."
    )
