"""The service thumbnailer: `waybill run thumbnailer:service`."""

from waybill import Service
from waybill.kinds import ImageUploaded

from thumbnailer.handlers import make_thumbnail

__all__ = ["service"]

service = Service("thumbnailer")
# Pillow computes: in processes it uses all cores, and is killed alone if it takes too long.
service.handles(ImageUploaded, attempts=3, soft_limit=60, hard_limit=90, processes=True)(
    make_thumbnail
)
