"""Builds the images service."""

from functools import partial

from waybill_contracts.images import ImageLimits
from waybill_contracts.kinds import ImageUploaded
from waybill_images.handlers import make_variants
from waybill_images.render_pool import RenderPool
from waybill_images.settings import ImagesSettings
from waybill_worker.attempt import configured
from waybill_worker.service import Service, application
from waybill_worker.storage import ObjectStore
from waybill_worker.worker_pool import WorkerLimits, WorkerPoolOptions, usable_cores


def make_service(settings: ImagesSettings) -> Service:
    """Builds the service with its adapters, not yet started."""
    store = ObjectStore.from_url(settings.object_store_url, settings.s3_options())
    pool = RenderPool(
        ImageLimits(
            settings.max_pixels, settings.max_edge, settings.max_bytes, settings.max_animation_pixels
        ),
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


def make_app() -> Service:
    """The FastStream application: `faststream run waybill_images.app:make_app --factory`."""
    return application("images", ImagesSettings, make_service)
