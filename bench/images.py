"""The images service's rendering beside Pillow and bare libvips: the same outputs of one photograph."""

import io
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final

import pyvips
from PIL import Image, ImageOps

from waybill_contracts.images import ImageLimits
from waybill_images.presets import ENCODERS, LONGEST_EDGE
from waybill_images.render import render
from waybill_testkit.photograph import make_photograph

#: Each way is timed so often, one after the other.
ROUNDS: Final = 9
#: Longest edge of each variant, the largest first.
_EDGES: Final = sorted(LONGEST_EDGE.values(), reverse=True)
_QUALITY: Final = {name: encoder.options["Q"] for name, encoder in ENCODERS.items()}
#: Pillow's name of libwebp's effort.
_WEBP_METHOD: Final = ENCODERS["webp"].options["effort"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one way costs for one photograph, the median of all rounds."""

    way: str
    #: Of all its threads; it says more than the time by the clock where others are at work.
    cpu_ms: float
    clock_ms: float
    bytes_made: int


def with_waybill(data: bytes) -> int:
    """As the images service does it, within one of its workers."""
    return sum(len(made.data) for made in render(data, tuple(LONGEST_EDGE), ImageLimits()).variants)


def with_vips(data: bytes) -> int:
    """The library alone, as it advises: shrink on load, one decode, the smaller from the larger."""
    size = 0
    picture = None
    for edge in _EDGES:
        picture = (
            pyvips.Image.thumbnail_buffer(data, edge, height=edge, size="down")
            if picture is None
            else picture.thumbnail_image(edge, height=edge, size="down")
        ).copy_memory()
        for encoder in ENCODERS.values():
            size += len(getattr(picture, encoder.saver)(**encoder.options))
    return size


def with_pillow(data: bytes) -> int:
    """Pillow as its documentation advises: draft mode, one decode, the smaller from the larger."""
    picture = Image.open(io.BytesIO(data))
    picture.draft("RGB", (2 * _EDGES[0], 2 * _EDGES[0]))
    upright: Image.Image = ImageOps.exif_transpose(picture)
    size = 0
    for edge in _EDGES:
        upright.thumbnail((edge, edge), Image.Resampling.LANCZOS)
        for name, quality in _QUALITY.items():
            made = io.BytesIO()
            options = {"method": _WEBP_METHOD} if name == "webp" else {"progressive": True}
            upright.save(made, name, quality=quality, exif=b"", **options)
            size += len(made.getvalue())
    return size


WAYS: Final[dict[str, Callable[[bytes], int]]] = {
    "Waybill": with_waybill,
    "bare libvips": with_vips,
    "Pillow": with_pillow,
}


def compare_images(results: Path) -> int:
    """Times all ways on a 12-megapixel JPEG, prints and writes what came of it."""
    pyvips.cache_set_max(0)
    pyvips.concurrency_set(1)  # as in a render worker; Pillow has one thread in any case
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photograph.jpg"
        make_photograph(path)
        data = path.read_bytes()
    timed: dict[str, list[tuple[float, float, int]]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way, make in WAYS.items():
            timed[way].append(_timed(make, data))
    costs = [
        Cost(
            way,
            cpu_ms=median(cpu for cpu, _, _ in rounds),
            clock_ms=median(clock for _, clock, _ in rounds),
            bytes_made=rounds[0][2],
        )
        for way, rounds in timed.items()
    ]
    ours = costs[0]
    for cost in costs:
        print(
            f"{cost.way:14} {cost.cpu_ms:7.0f} ms CPU  {cost.clock_ms:7.0f} ms  {cost.bytes_made:9,} bytes"
            f"  Waybill takes {ours.cpu_ms / cost.cpu_ms:.2f} of it"
        )
    (results / "images.json").write_text(json.dumps([asdict(cost) for cost in costs], indent=1) + "\n")
    return 0


def _timed(make: Callable[[bytes], int], data: bytes) -> tuple[float, float, int]:
    cpu, clock = time.process_time(), time.monotonic()
    size = make(data)
    return (time.process_time() - cpu) * 1000, (time.monotonic() - clock) * 1000, size
