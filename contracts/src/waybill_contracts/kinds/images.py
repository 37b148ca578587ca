"""Uploaded images: `image.uploaded`."""

from typing import Annotated

from pydantic import Field

from waybill_contracts.events import Event, File
from waybill_contracts.images import PRESET_NAMES, PresetName
from waybill_contracts.kinds.fields import Sha256


class ImageUploaded(Event, kind="image.uploaded"):
    """An image in the object store, checked at upload, of which variants are to be made."""

    source_key: Annotated[str, Field(min_length=1, max_length=255), File]
    sha256: Sha256
    content_type: Annotated[str, Field(max_length=100)]
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]
    size_bytes: Annotated[int, Field(gt=0)]
    variants: Annotated[tuple[PresetName, ...], Field(min_length=1, max_length=len(PRESET_NAMES))]
