"""Sizes and encodings of the variants."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from waybill_contracts.images import PRESET_NAMES

#: Every variant is made in both: WebP for programs that support it, JPEG for all others (mail programs).
VariantFormat = Literal["webp", "jpeg"]


@dataclass(frozen=True, slots=True)
class Encoder:
    """How a variant is encoded."""

    content_type: str
    suffix: str
    #: Whether the format has transparency; if not, the picture is put on white.
    keeps_alpha: bool
    #: Whether the format has animations.
    keeps_frames: bool
    #: The libvips saver and its options.
    saver: str
    options: Mapping[str, Any]


#: Longest edge in pixels, never enlarged: for a list on a dense screen, a column of a page, a full screen.
LONGEST_EDGE: Mapping[str, int] = MappingProxyType(dict(zip(PRESET_NAMES, (256, 1024, 2048), strict=True)))

ENCODERS: Mapping[VariantFormat, Encoder] = MappingProxyType(
    {
        "webp": Encoder(
            content_type="image/webp",
            suffix=".webp",
            keeps_alpha=True,
            keeps_frames=True,
            saver="webpsave_buffer",
            options=MappingProxyType(
                {
                    "Q": 80,  # looks like JPEG 82 with a third of the bytes (2048 px: 80 kB against 256 kB)
                    "effort": 2,  # 105 ms where the default, 4, takes 237 ms for files smaller by 9 %
                    "keep": "none",  # no EXIF, XMP, ICC, IPTC: the pixels are sRGB and upright at this point
                }
            ),
        ),
        "jpeg": Encoder(
            content_type="image/jpeg",
            suffix=".jpg",
            keeps_alpha=False,
            keeps_frames=False,
            saver="jpegsave_buffer",
            options=MappingProxyType(
                {
                    "Q": 82,  # 38 dB from the uncompressed; each step up costs 6 % of bytes
                    "interlace": True,  # progressive: shown early, and 15 % smaller for 35 ms
                    "keep": "none",  # no metadata
                    "background": 255,  # white under remaining transparency
                }
            ),
        ),
    }
)
