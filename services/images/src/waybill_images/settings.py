"""The settings of the images service."""

from pydantic import Field

from waybill_worker.attempt import MaxAttempts
from waybill_worker.consume import ServiceSettings
from waybill_worker.runtime import Seconds
from waybill_worker.storage import ObjectStoreSettings


class ImagesSettings(ObjectStoreSettings, ServiceSettings):
    """Settings of the images service, in addition to those of every service."""

    # An image that kills a renderer, or takes too long, mostly does so each time: a quarter of an hour is
    # enough for a machine that is short of memory. While the store is unreachable, attempts are not counted.
    retry_max_attempts: MaxAttempts = 6
    retry_base_seconds: Seconds = Field(30, description="The longest wait before the second attempt.")
    # Each message in progress has its original in memory, and each worker renders only one.
    prefetch: int = Field(4, ge=1, le=100, description="Images in progress at once.")
    render_workers: int | None = Field(None, ge=1, le=256, description="Default: one for each core.")
    render_threads_per_worker: int = Field(1, ge=1, le=64)
    render_seconds_per_image: Seconds = Field(30, description="A renderer that takes longer is killed.")
    render_cpu_seconds_per_image: Seconds = Field(
        20, description="Processor time; an image that needs more fails permanently."
    )
    render_bytes_per_worker: int = Field(2 * 1024**3, gt=0)
    max_pixels: int = Field(100_000_000, gt=0)
    max_edge: int = Field(30_000, gt=0, description="Longest edge of an original, in pixels.")
    max_animation_pixels: int = Field(
        50_000_000,
        ge=0,
        description="Pixels of all frames of an animation; a larger one is reduced to its first frame.",
    )
    max_bytes: int = Field(50 * 1024 * 1024, gt=0, description="Largest original.")
