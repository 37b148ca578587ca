"""HEIC as telephones write it, and AVIF: what becomes of them."""

import io

import pillow_heif
import pytest
import pyvips
from PIL import Image
from test_rendering_pictures import CLOSE, assert_quadrants, by_name, decode, far, quadrants

from waybill_contracts.images.limits import ImageLimits
from waybill_images.render import render
from waybill_worker.errors import PermanentError

#: EXIF 2.32.
ORIENTATION = 0x0112


def heic(picture: pyvips.Image, mode: str = "RGB", **more: object) -> bytes:
    file = io.BytesIO()
    made = pillow_heif.from_bytes(mode, (picture.width, picture.height), picture.write_to_memory())
    made.save(file, quality=95, chroma=444, **more)
    return file.getvalue()


def test_a_heic_becomes_upright_variants_without_its_metadata() -> None:
    exif = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00whereabouts"
    data = heic(quadrants(), exif=exif)
    assert b"whereabouts" in data

    for variant in render(data, ["thumb"], ImageLimits()).variants:
        assert (variant.width, variant.height) == (240, 120)
        assert_quadrants(decode(variant))
        assert b"whereabouts" not in variant.data


def test_a_heic_is_turned_as_it_says_and_only_once() -> None:
    # Telephones store what the sensor saw, and say twice how it is turned: for HEIF readers, and in EXIF.
    turned = quadrants(120, 240).rot90()  # 240 x 120 as stored
    exif = Image.Exif()
    exif[ORIENTATION] = 8
    data = heic(turned, exif=exif.tobytes())
    shown = pillow_heif.open_heif(data)

    for variant in render(data, ["thumb"], ImageLimits()).variants:
        assert (variant.width, variant.height) == shown.size == (120, 240)
        assert_quadrants(decode(variant))


def test_the_colours_of_a_heic_are_converted_from_its_profile() -> None:
    wide = quadrants().icc_transform("p3", input_profile="srgb")
    data = heic(wide, icc_profile=wide.get("icc-profile-data"), icc_profile_type="prof")

    for variant in render(data, ["thumb"], ImageLimits()).variants:
        assert_quadrants(decode(variant))


def test_alpha_and_grey_of_a_heic() -> None:
    left_half = (pyvips.Image.xyz(240, 120)[0] < 120).cast("uchar")  # 255 where true
    made = by_name(render(heic(quadrants().bandjoin(left_half), "RGBA"), ["thumb"], ImageLimits()).variants)
    webp = decode(made["thumb", "webp"])
    grey = (pyvips.Image.black(50, 50) + 90).cast("uchar")

    assert [webp(30, 30)[3], webp(200, 30)[3]] == [255, 0]
    for variant in render(heic(grey, "L"), ["thumb"], ImageLimits()).variants:
        assert far(decode(variant), 0.5, 0.5, [90, 90, 90]) < CLOSE


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_an_avif_becomes_variants(bits: int) -> None:
    picture = quadrants() if bits == 8 else (quadrants().cast("ushort") * 257).copy(interpretation="rgb16")
    data = picture.heifsave_buffer(compression="av1", Q=95, bitdepth=bits, subsample_mode="off")

    for variant in render(data, ["thumb"], ImageLimits()).variants:
        assert (variant.width, variant.height) == (240, 120)
        assert_quadrants(decode(variant))


def test_their_size_is_limited_by_the_header() -> None:
    for data in (heic(quadrants()), quadrants().heifsave_buffer(compression="av1")):
        with pytest.raises(PermanentError, match="240 x 120 pixels"):
            render(data, ["thumb"], ImageLimits(max_pixels=28_799))
