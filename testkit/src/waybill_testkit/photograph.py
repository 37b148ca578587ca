"""A photograph as of a telephone, made when needed: the repository need not contain megabytes."""

from functools import cache
from pathlib import Path

import pyvips

#: A 12-megapixel sensor held upright: stored on its side, as cameras do, and turned by the EXIF orientation.
STORED_WIDTH, STORED_HEIGHT = 4000, 3000
UPRIGHT_WIDTH, UPRIGHT_HEIGHT = STORED_HEIGHT, STORED_WIDTH
#: Edge in pixels of the square mark at the upright picture's top left: still visible when 256 pixels high.
MARK_EDGE = 600
MARK_COLOUR = (220, 20, 20)
#: EXIF 2.32, tag 0x0112: the stored picture's first row is the upright one's right edge; turn it clockwise.
ORIENTATION = 6
CAMERA_MAKE = "Waybill Optical"
COMMENT = "Quayside, made by the test kit: no real photograph"
#: Standard deviation of the sensor's noise in steps of 256: about ISO 400 on a small sensor.
NOISE_SIGMA = 6.0
#: What telephones use; with the noise it gives a file of a few megabytes.
QUALITY = 88
#: Where sky meets sea, as a share of the height.
HORIZON = 0.55
#: The same noise each time, so that two runs make the same bytes.
SEED = 20240229
#: What must not leave with the variants; the position (Greenwich) is in degrees, minutes and seconds.
METADATA = {
    "exif-ifd0-Make": CAMERA_MAKE,
    "exif-ifd0-Model": "WO-1",
    "exif-ifd0-DateTime": "2024:02:29 12:00:00",
    "exif-ifd0-ImageDescription": COMMENT,
    "exif-ifd2-UserComment": COMMENT,
    "exif-ifd3-GPSLatitudeRef": "N",
    "exif-ifd3-GPSLatitude": "51/1 28/1 40/1",
    "exif-ifd3-GPSLongitudeRef": "W",
    "exif-ifd3-GPSLongitude": "0/1 0/1 5/1",
}


def make_photograph(path: Path) -> None:
    """Writes the content of `photograph` to a file, which is replaced if it is there."""
    path.write_bytes(photograph())


@cache
def photograph() -> bytes:
    """A 12-megapixel JPEG with a camera's metadata; upright it is 3000 wide and 4000 high.

    The same bytes each time with the same libvips. Takes about a second and a few tens of megabytes, once in
    each process.
    """
    noise = pyvips.Image.gaussnoise(STORED_WIDTH, STORED_HEIGHT, sigma=NOISE_SIGMA, mean=0, seed=SEED)
    stored = (_scene().rot270() + noise).cast("uchar").copy(interpretation="srgb")
    for field, value in METADATA.items():
        stored.set_type(pyvips.GValue.gstr_type, field, value)
    stored.set_type(pyvips.GValue.gint_type, "orientation", ORIENTATION)
    content: bytes = stored.jpegsave_buffer(Q=QUALITY)
    return content


def _scene() -> pyvips.Image:
    """The upright scene: sky, sea, sun, houses, and the mark. Three bands of 8 bits."""
    down = pyvips.Image.xyz(UPRIGHT_WIDTH, UPRIGHT_HEIGHT)[1] / UPRIGHT_HEIGHT
    across = pyvips.Image.xyz(UPRIGHT_WIDTH, UPRIGHT_HEIGHT)[0] / UPRIGHT_WIDTH
    sky = (down * 120 + 90).bandjoin([down * 80 + 140, 235 - across * 30])
    ripples = ((down * down * 2600 + across * 500).sin() + 1) * 22
    sea = (ripples + 20).bandjoin([ripples + 70, ripples + 105])
    scene = (down > HORIZON).ifthenelse(sea, sky).cast("uchar").copy_memory()  # drawing writes into memory
    scene = scene.draw_circle([255, 240, 190], 2200, 900, 320, fill=True)
    for house in range(6):
        height = 500 + 170 * (house * 5 % 4)
        left, top = 80 + house * 490, 2300 - height
        wall = [150 + house * 15, 90 + house * 20, 80]
        scene = scene.draw_rect(wall, left, top, 430, height, fill=True)
        for window in range(4):
            pane = [60, 70, 90 + window * 30]
            scene = scene.draw_rect(
                pane, left + 60 + 200 * (window % 2), top + 90 + 180 * (window // 2), 110, 120, fill=True
            )
    return scene.draw_rect(list(MARK_COLOUR), 0, 0, MARK_EDGE, MARK_EDGE, fill=True)
