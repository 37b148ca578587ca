"""The images service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from waybill import Service
from waybill_contracts.images import ImageLimits
from waybill_contracts.kinds import ImageUploaded
from waybill_images.handlers import make_variants
from waybill_images.render_pool import RenderPool
from waybill_images.settings import ImagesSettings
from waybill_worker.worker_pool import WorkerLimits, WorkerPoolOptions, usable_cores


@asynccontextmanager
async def rendering(settings: ImagesSettings) -> AsyncIterator[RenderPool]:
    """Opens the renderers."""
    limits = settings.max_pixels, settings.max_edge, settings.max_bytes, settings.max_animation_pixels
    worker = WorkerLimits(settings.render_bytes_per_worker, settings.render_cpu_seconds_per_image)
    workers = settings.render_workers or usable_cores()
    options = WorkerPoolOptions(worker, settings.render_seconds_per_image, workers)
    pool = RenderPool(ImageLimits(*limits), options, threads=settings.render_threads_per_worker)
    try:
        yield pool
    finally:
        await pool.close()


service = Service("images", settings=ImagesSettings, resources=rendering, metrics="images:8000")
service.handles(ImageUploaded)(make_variants)
