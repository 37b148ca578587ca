"""What is done for each kind: plain functions, as they block."""

from io import BytesIO

from PIL import Image, ImageOps, UnidentifiedImageError
from waybill import PermanentError, SyncAttempt
from waybill.kinds import ImageUploaded

#: Longest edge of a thumbnail, in pixels.
EDGE = 160


def make_thumbnail(event: ImageUploaded, attempt: SyncAttempt) -> dict[str, object]:
    """Makes `thumbnail.webp` of an uploaded image, beside what the images service makes of it."""
    with attempt.files.open(event.source_key) as path:
        try:
            with Image.open(path) as picture:
                # Decodes a large JPEG at a fraction of its size, which is all that is needed of it.
                picture.draft("RGB", (2 * EDGE, 2 * EDGE))
                upright = ImageOps.exif_transpose(picture)
                upright.thumbnail((EDGE, EDGE))
        except (UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise PermanentError(f"Pillow does not read this {event.content_type}") from error
    attempt.progress(0.9, "reduced")
    thumbnail = BytesIO()
    upright.save(thumbnail, "WEBP")
    attempt.files.write("thumbnail.webp", thumbnail.getvalue(), content_type="image/webp")
    return {"width": upright.width, "height": upright.height}
