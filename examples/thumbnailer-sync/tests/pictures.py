"""Pictures for tests."""

from hashlib import sha256
from io import BytesIO

from PIL import Image
from waybill.kinds import ImageUploaded


def picture(width: int = 640, height: int = 320) -> bytes:
    """A JPEG."""
    content = BytesIO()
    Image.radial_gradient("L").resize((width, height)).convert("RGB").save(content, "JPEG")
    return content.getvalue()


def uploaded(content: bytes) -> ImageUploaded:
    """The event of a picture of 640 by 320 pixels."""
    digest = sha256(content).hexdigest()
    return ImageUploaded(
        source_key=f"files/default/{digest[:2]}/{digest}",
        sha256=digest,
        content_type="image/jpeg",
        width=640,
        height=320,
        size_bytes=len(content),
        variants=("thumb",),
    )
