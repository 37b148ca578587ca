"""A photograph: uploaded as a camera stored it, fetched as variants fit for the web."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pyvips

from waybill_devstack.tour.narrator import Narrator
from waybill_devstack.tour.world import World
from waybill_testkit.photograph import make_photograph

#: Longest edge of each preset, in pixels.
LONGEST_EDGE = {"thumb": 256, "medium": 1024, "large": 2048}
MIN_PIXELS = 8_000_000
#: Metadata that a variant must not have; it may still say how it is encoded.
METADATA_PREFIXES = ("exif", "xmp", "iptc", "icc", "orientation", "gainmap")


async def photograph(world: World, narrator: Narrator, folder: Path) -> None:
    """Makes a photograph, uploads it, and checks the variants."""
    narrator.chapter("A photograph")
    path = folder / "photograph.jpg"
    make_photograph(path)
    original = pyvips.Image.new_from_file(str(path))
    orientation = original.get("orientation")
    has_gps = any("GPSLatitude" in field for field in original.get_fields())
    narrator.expect(
        original.width * original.height >= MIN_PIXELS and orientation != 1 and has_gps,
        f"a JPEG of {original.width}x{original.height} pixels ({path.stat().st_size / 1e6:.1f} MB), "
        f"stored lying (orientation {orientation}) and with its GPS position",
    )
    accepted = await world.gateway.submit_image(path)
    narrator.saw("POST /v1/images: 202")
    task = await world.outcome(accepted.id)
    narrator.expect(task.state == "completed", "the task is completed", task)
    upright = (original.height, original.width)
    for preset, edge in LONGEST_EDGE.items():
        for ending in ("webp", "jpeg"):
            await _check_variant(world, narrator, task.id, f"{preset}.{ending}", edge, upright)
    narrator.sum_up("a photograph became three upright variants, each as WebP and JPEG, without metadata")


async def _check_variant(
    world: World, narrator: Narrator, task_id: str, variant: str, edge: int, upright: tuple[int, int]
) -> None:
    content = BytesIO()
    size = await world.gateway.download_variant(task_id, variant, content)
    image = pyvips.Image.new_from_buffer(content.getvalue(), "")
    scale = edge / max(upright)
    expected = tuple(round(side * scale) for side in upright)
    fits = abs(image.width - expected[0]) <= 1 and abs(image.height - expected[1]) <= 1
    narrator.expect(
        fits and _is_upright(image) and not _metadata(image),
        f"{variant}: {image.width}x{image.height}, upright, no metadata, {size:,} bytes",
        f"{image.width}x{image.height}, metadata {_metadata(image)}",
    )


def _is_upright(image: Any) -> bool:
    # The photograph bears a red mark in its upper left corner when it is held upright.
    red, green, blue = image(image.width // 20, image.height // 20)[:3]
    return bool(red > 2 * max(green, blue))


def _metadata(image: Any) -> list[str]:
    return [field for field in image.get_fields() if field.startswith(METADATA_PREFIXES)]
