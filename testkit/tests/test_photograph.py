from pathlib import Path

import pyvips

from waybill_testkit.photograph import (
    CAMERA_MAKE,
    COMMENT,
    MARK_COLOUR,
    MARK_EDGE,
    make_photograph,
    photograph,
)


def test_a_photograph_as_a_telephone_would_send_it(tmp_path: Path) -> None:
    path = tmp_path / "photograph.jpg"
    make_photograph(path)
    stored = pyvips.Image.new_from_file(str(path))
    upright = stored.autorot().copy_memory()

    assert (stored.width, stored.height) == (4000, 3000)
    assert (upright.width, upright.height) == (3000, 4000)
    assert 2_000_000 < path.stat().st_size < 8_000_000
    assert stored.get("exif-ifd0-Make").startswith(CAMERA_MAKE)
    assert stored.get("exif-ifd2-UserComment").startswith(COMMENT)
    assert stored.get("exif-ifd3-GPSLatitude").startswith("51/1 28/1 40/1")
    mark = upright.crop(20, 20, MARK_EDGE - 40, MARK_EDGE - 40)
    means = [mark[band].avg() for band in range(3)]
    assert max(abs(mean - wanted) for mean, wanted in zip(means, MARK_COLOUR, strict=True)) < 5
    assert upright(2900, 100)[2] > 150  # sky, not mark, in the next corner
    assert mark[0].deviate() > 3  # a sensor's noise


def test_it_is_the_same_each_time() -> None:
    first = photograph()
    photograph.cache_clear()

    assert photograph() == first
