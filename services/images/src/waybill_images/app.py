"""The images service, put together."""

from functools import partial

from chassis.object_store import ObjectStore
from chassis.policies import configured
from chassis.service import Service
from chassis.worker_pool import WorkerPoolOptions, usable_cores
from chassis.worker_process import WorkerLimits
from contracts.events import ImageUploaded
from contracts.images import ImageLimits
from images_service.handlers import make_variants
from images_service.render_pool import RenderPool
from images_service.settings import ImagesSettings


def make_service(settings: ImagesSettings) -> Service:
    """The service with its adapters, not yet started."""
    store = ObjectStore.from_url(settings.object_store_url, settings.s3_options())
    pool = RenderPool(
        ImageLimits(settings.max_pixels, settings.max_edge, settings.max_bytes, settings.max_moving_pixels),
        WorkerPoolOptions(
            WorkerLimits(settings.render_bytes_per_worker, settings.render_cpu_seconds_per_image),
            settings.render_seconds_per_image,
            settings.render_workers or usable_cores(),
        ),
        threads=settings.render_threads_per_worker,
    )
    return Service(
        "images",
        settings,
        (configured(settings, ImageUploaded, partial(make_variants, store=store, pool=pool)),),
        closers=(pool.close,),
    )
