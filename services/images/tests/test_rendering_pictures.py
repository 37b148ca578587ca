"""Pictures as people send them, and what must become of them."""

from pathlib import Path

import pytest
import pyvips

from waybill_contracts.images.limits import ImageLimits
from waybill_images.presets import LONGEST_EDGE
from waybill_images.render import render
from waybill_images.render_result import RenderedVariant
from waybill_testkit.photograph import CAMERA_MAKE, COMMENT, MARK_COLOUR, photograph

HOPPER = Path(__file__).parent / "photographs" / "grace_hopper.jpg"
ALL = tuple(LONGEST_EDGE)
RED, GREEN, BLUE, WHITE = [220, 20, 20], [20, 160, 40], [30, 40, 200], [255, 255, 255]
#: Where `quadrants` has which colour.
CORNERS = {(0.2, 0.2): RED, (0.8, 0.2): GREEN, (0.2, 0.8): BLUE, (0.8, 0.8): WHITE}
#: Of 255: what lossy encoding may do to a flat colour.
CLOSE = 12


def decode(variant: RenderedVariant) -> pyvips.Image:
    return pyvips.Image.new_from_buffer(variant.data, "")


def by_name(variants: list[RenderedVariant]) -> dict[tuple[str, str], RenderedVariant]:
    return {(variant.preset, variant.format): variant for variant in variants}


def far(image: pyvips.Image, x: float, y: float, colour: list[int]) -> float:
    """How far the pixel at shares x, y of the picture is from a colour, in the worst band."""
    pixel = image(int(x * (image.width - 1)), int(y * (image.height - 1)))
    return max(float(abs(is_ - wanted)) for is_, wanted in zip(pixel[:3], colour, strict=True))


def quadrants(width: int = 240, height: int = 120) -> pyvips.Image:
    """Red, green / blue, white."""
    image = pyvips.Image.black(width, height, bands=3).copy(interpretation="srgb").copy_memory()
    half, rest = width // 2, height // 2
    image = image.draw_rect(RED, 0, 0, half, rest, fill=True).draw_rect(GREEN, half, 0, half, rest, fill=True)
    return image.draw_rect(BLUE, 0, rest, half, rest, fill=True).draw_rect(
        WHITE, half, rest, half, rest, fill=True
    )


def assert_quadrants(image: pyvips.Image) -> None:
    assert [at for at, colour in CORNERS.items() if far(image, *at, colour) > CLOSE] == []


def test_a_photograph_is_made_upright_in_every_preset_and_format() -> None:
    variants = by_name(render(photograph(), ALL, ImageLimits()).variants)

    sizes = {name: (variant.width, variant.height) for name, variant in variants.items()}
    assert sizes == {
        ("large", "webp"): (1536, 2048),
        ("large", "jpeg"): (1536, 2048),
        ("medium", "webp"): (768, 1024),
        ("medium", "jpeg"): (768, 1024),
        ("thumb", "webp"): (192, 256),
        ("thumb", "jpeg"): (192, 256),
    }
    for variant in variants.values():
        image = decode(variant)
        assert (image.width, image.height) == (variant.width, variant.height)
        assert variant.content_type == f"image/{variant.format}"
        assert far(image, 0.05, 0.05, list(MARK_COLOUR)) < CLOSE
        assert far(image, 0.95, 0.05, list(MARK_COLOUR)) > 5 * CLOSE
        assert far(image, 0.05, 0.95, list(MARK_COLOUR)) > 5 * CLOSE


def test_no_metadata_leaves_the_house() -> None:
    original = pyvips.Image.new_from_buffer(photograph(), "").copy()
    thumbnail = original.thumbnail_image(80).jpegsave_buffer(keep="none") + b"thumbnail of the garden"
    for field, blob in {
        "jpeg-thumbnail-data": thumbnail,
        "xmp-data": b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>whereabouts</x:xmpmeta>",
        "iptc-data": b"Photoshop 3.0\x008BIM\x04\x04\x00\x00\x00\x00\x00\x00",
    }.items():
        original.set_type(pyvips.GValue.blob_type, field, blob)
    laden = original.jpegsave_buffer(profile="p3")
    secrets = [
        b"Exif",
        b"EXIF",
        b"GPS",
        b"XMP ",
        b"xmpmeta",
        b"whereabouts",
        b"ICC",
        b"Photoshop",
        b"8BIM",
        b"garden",
    ]
    secrets += [CAMERA_MAKE.encode(), COMMENT.encode()]
    assert CAMERA_MAKE.encode() in laden
    assert b"ICC_PROFILE" in laden
    assert b"whereabouts" in laden

    for variant in render(laden, ALL, ImageLimits()).variants:
        fields = decode(variant).get_fields()
        assert [
            f for f in fields if f.startswith(("exif", "xmp", "iptc", "icc", "orientation", "jpeg-thumb"))
        ] == []
        assert [secret for secret in secrets if secret in variant.data] == []


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("saver", ["jpegsave_buffer", "webpsave_buffer", "pngsave_buffer"])
def test_every_orientation_ends_upright(orientation: int, saver: str) -> None:
    # How each orientation's picture lies in the file (EXIF 2.32, tag 0x0112).
    stored = {
        1: lambda im: im,
        2: lambda im: im.fliphor(),
        3: lambda im: im.rot180(),
        4: lambda im: im.flipver(),
        5: lambda im: im.rot270().flipver(),
        6: lambda im: im.rot270(),
        7: lambda im: im.rot90().flipver(),
        8: lambda im: im.rot90(),
    }[orientation](quadrants()).copy()
    stored.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    data = getattr(stored, saver)(Q=95) if saver != "pngsave_buffer" else stored.pngsave_buffer()
    for variant in render(data, ["thumb"], ImageLimits()).variants:
        assert (variant.width, variant.height) == (240, 120)
        assert_quadrants(decode(variant))


def test_a_real_photograph_keeps_its_look() -> None:
    original = pyvips.Image.new_from_file(str(HOPPER))
    variants = by_name(render(HOPPER.read_bytes(), ["medium", "thumb"], ImageLimits()).variants)

    for form in ("webp", "jpeg"):
        kept = decode(variants["medium", form])
        assert (kept.width, kept.height) == (512, 600)  # never enlarged
        assert (original.cast("int") - kept.cast("int")).abs().avg() < 3
        assert variants["thumb", form].height == 256


@pytest.mark.parametrize(
    ("width", "height", "expected"), [(3000, 10, (256, 1)), (10, 3000, (1, 256)), (1, 1, (1, 1))]
)
def test_extreme_shapes(width: int, height: int, expected: tuple[int, int]) -> None:
    data = pyvips.Image.black(width, height, bands=3).copy(interpretation="srgb").pngsave_buffer()

    assert {(v.width, v.height) for v in render(data, ["thumb"], ImageLimits()).variants} == {expected}


def test_colours_are_converted_from_the_embedded_profile() -> None:
    wide = quadrants().icc_transform("p3", input_profile="srgb")
    stored = wide(30, 30)
    assert max(abs(a - b) for a, b in zip(stored, RED, strict=True)) > CLOSE  # else the test could not fail

    for variant in render(wide.pngsave_buffer(), ["thumb"], ImageLimits()).variants:
        assert_quadrants(decode(variant))


def test_a_broken_profile_is_passed_over() -> None:
    data = quadrants().jpegsave_buffer(keep="none", Q=95)
    profile = b"ICC_PROFILE\x00\x01\x01" + b"no profile at all" * 20
    with_profile = data[:2] + b"\xff\xe2" + (len(profile) + 2).to_bytes(2, "big") + profile + data[2:]

    for variant in render(with_profile, ["thumb"], ImageLimits()).variants:
        assert_quadrants(decode(variant))


@pytest.mark.parametrize("keep", ["all", "none"])
def test_cmyk_becomes_srgb(keep: str) -> None:
    inks = quadrants().icc_transform("cmyk", input_profile="srgb").jpegsave_buffer(Q=95, keep=keep)
    assert pyvips.Image.new_from_buffer(inks, "").interpretation == "cmyk"

    for variant in render(inks, ["thumb"], ImageLimits()).variants:
        image = decode(variant)
        assert image.bands == 3
        # Print cannot hold these colours fully: they come back near, and in their places.
        nearest = {at: min((far(image, *at, c), c) for c in (RED, GREEN, BLUE, WHITE))[1] for at in CORNERS}
        assert nearest == CORNERS


def test_sixteen_bits_become_eight() -> None:
    deep = (quadrants().cast("ushort") * 257).cast("ushort").copy(interpretation="rgb16").pngsave_buffer()
    assert pyvips.Image.new_from_buffer(deep, "").format == "ushort"

    for variant in render(deep, ["thumb"], ImageLimits()).variants:
        assert decode(variant).format == "uchar"
        assert_quadrants(decode(variant))


@pytest.mark.parametrize("bands", [1, 2])
def test_grey_with_and_without_alpha(bands: int) -> None:
    grey = (pyvips.Image.black(50, 50) + 90).cast("uchar")
    data = (grey if bands == 1 else grey.bandjoin(255)).copy(interpretation="b-w").pngsave_buffer()
    for variant in render(data, ["thumb"], ImageLimits()).variants:
        assert far(decode(variant), 0.5, 0.5, [90, 90, 90]) < CLOSE


def test_alpha_is_kept_in_webp_and_put_on_white_in_jpeg() -> None:
    left_half = (pyvips.Image.xyz(240, 120)[0] < 120).cast("uchar")  # 255 where true
    data = quadrants().bandjoin(left_half).pngsave_buffer()
    variants = by_name(render(data, ["thumb"], ImageLimits()).variants)

    webp, jpeg = decode(variants["thumb", "webp"]), decode(variants["thumb", "jpeg"])
    assert webp.hasalpha()
    assert [webp(30, 30)[3], webp(200, 30)[3]] == [255, 0]
    assert not jpeg.hasalpha()
    assert far(jpeg, 0.2, 0.2, RED) < CLOSE
    assert far(jpeg, 0.8, 0.2, WHITE) < CLOSE


def test_a_preset_asked_twice_is_made_once_and_smaller_ones_alone() -> None:
    data = quadrants(2400, 1200).jpegsave_buffer(Q=95)

    assert [(v.preset, v.format) for v in render(data, ["thumb", "thumb"], ImageLimits()).variants] == [
        ("thumb", "webp"),
        ("thumb", "jpeg"),
    ]
