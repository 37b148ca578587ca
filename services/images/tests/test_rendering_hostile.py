"""Files that lie, end early, or want too much."""

import random
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import pyvips

from waybill_contracts.images.limits import ImageLimits
from waybill_images.render import render
from waybill_worker.errors import PermanentError

HOPPER = (Path(__file__).parent / "photographs" / "grace_hopper.jpg").read_bytes()
LIMITS = ImageLimits()


@cache
def encoded(form: str) -> bytes:
    picture = pyvips.Image.new_from_buffer(HOPPER, "")
    encoders: dict[str, Callable[[], bytes]] = {
        "jpeg": lambda: HOPPER,
        "progressive": lambda: picture.jpegsave_buffer(interlace=True),
        "png": picture.pngsave_buffer,
        "interlaced": lambda: picture.pngsave_buffer(interlace=True),
        "webp": picture.webpsave_buffer,
        "lossless": lambda: picture.webpsave_buffer(lossless=True),
        "gif": picture.gifsave_buffer,
    }
    return encoders[form]()


FORMS = ["jpeg", "progressive", "png", "interlaced", "webp", "lossless", "gif"]


def refusal(data: bytes, limits: ImageLimits = LIMITS) -> str:
    with pytest.raises(PermanentError) as caught:
        render(data, ["thumb", "large"], limits)
    return str(caught.value)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("form", FORMS)
def test_a_file_cut_short_is_refused_with_its_length(form: str, share: float) -> None:
    data = encoded(form)
    part = data[: int(len(data) * share)]
    text = refusal(part)

    assert str(len(part)) in text
    assert text.endswith(("Send it again.", "Send the original."))
    assert "vips" not in text.lower()
    if form in {"webp", "lossless"}:
        assert f"ends after {100 * len(part) // len(data)} % of its data" in text


@pytest.mark.parametrize("form", ["jpeg", "progressive"])
@pytest.mark.parametrize("lost", [1, 2])
def test_a_jpeg_without_its_end_marker_is_made_as_it_shows_and_the_caller_told(form: str, lost: int) -> None:
    data = encoded(form)
    whole, rendered = render(data, ["thumb"], LIMITS), render(data[:-lost], ["thumb"], LIMITS)

    assert rendered.notes == ("The JPEG has no end marker; what is there was decoded.",)
    assert whole.notes == ()
    for made, wanted in zip(rendered.variants, whole.variants, strict=True):
        # Full-size decoding for one, shrunk for the other: nearly the same pixels.
        there, here = (pyvips.Image.new_from_buffer(variant.data, "") for variant in (made, wanted))
        assert (there.cast("int") - here.cast("int")).abs().avg() < 2


@pytest.mark.parametrize(("lost", "form"), [(300, "jpeg"), (30, "progressive")])
def test_more_than_the_end_marker_missing_is_damage(lost: int, form: str) -> None:
    data = encoded(form)[:-lost]

    assert refusal(data) == f"The JPEG ends after {len(data)} bytes, before its picture does. Send it again."


def test_a_jpeg_of_twelve_bits_is_named_and_not_called_damaged() -> None:
    data = bytearray(HOPPER)
    data[data.index(b"\xff\xc0") + 4] = 12

    assert refusal(bytes(data)) == "12-bit JPEG is not supported. Save it with 8 bits, or as PNG."


@pytest.mark.parametrize("form", ["jpeg", "progressive", "png", "interlaced", "gif"])
def test_a_hole_in_the_data_is_refused_and_not_painted_grey(form: str) -> None:
    data = encoded(form)
    middle = len(data) // 2
    holed = data[:middle] + data[middle + len(data) // 10 :]

    assert "damaged or incomplete" in refusal(holed) or "ends after" in refusal(holed)


@pytest.mark.parametrize("form", ["progressive", "png", "interlaced", "gif"])
def test_overwritten_data_is_refused(form: str) -> None:
    data = bytearray(encoded(form))
    at = len(data) // 3
    data[at : at + 400] = random.Random(5).randbytes(400).replace(b"\xff", b"\xfe")

    assert "cannot be decoded" in refusal(bytes(data))


def test_what_cameras_write_between_segments_is_no_damage() -> None:
    first_segment_ends = 4 + int.from_bytes(HOPPER[4:6], "big")
    untidy = HOPPER[:first_segment_ends] + bytes(4) + HOPPER[first_segment_ends:]

    assert len(render(untidy, ["thumb"], LIMITS).variants) == 2


def test_bytes_after_the_image_are_no_damage_and_go_nowhere() -> None:
    polyglot = HOPPER + b"PK\x03\x04" + b"<script>alert(1)</script>" * 50

    for variant in render(polyglot, ["large"], LIMITS).variants:
        assert b"<script>" not in variant.data


def test_a_script_before_the_image_is_no_image() -> None:
    assert "not a known image format" in refusal(b"<html><script>alert(1)</script>" + HOPPER)


SVG = b"""<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
 width="100" height="100"><image xlink:href="file:///etc/passwd" width="100" height="100"/></svg>"""


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "not a known image format"),
        (b"just words\n" * 100, "not a known image format"),
        (SVG, "a SVG file"),
        (b"%PDF-1.7\n", "a PDF file"),
        (b"II*\x00\x08\x00\x00\x00", "a TIFF file"),
        (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1jpeg", "a HEIF file"),
        (b"P6 2 2 255\n" + bytes(12), "not a known image format"),
        (b"#!/bin/sh\n", "not a known image format"),
    ],
)
def test_what_is_no_accepted_image_is_named(data: bytes, expected: str) -> None:
    assert refusal(data) == f"The file is {expected}; send one of jpeg, png, webp, gif, avif, heic."


@pytest.mark.parametrize(
    "signature", [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF\x00\x10\x00\x00WEBP", b"GIF89a"]
)
def test_a_signature_alone_is_no_image(signature: bytes) -> None:
    assert "Send" in refusal(signature + SVG)


@pytest.mark.parametrize(
    "data", [SVG, b"%PDF-1.7\n", b"II*\x00\x08\x00\x00\x00", b"P6 2 2 255\n" + bytes(12)]
)
def test_no_other_loader_can_be_reached(data: bytes) -> None:
    refusal(data)  # the first call closes them

    with pytest.raises(pyvips.Error, match="not in a known format"):
        pyvips.Image.new_from_buffer(data, "")


def png(width: int, height: int) -> bytes:
    """A PNG that says it is that large; its data is one row."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    row = zlib.compress(bytes(1 + 3 * min(width, 1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", row) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (1, 1_000_000), (1_000_000, 1), (30_001, 1)])
def test_too_long_an_edge_is_refused_by_the_header(width: int, height: int) -> None:
    text = refusal(png(width, height))

    assert (
        text
        == f"The image is {width} x {height} pixels; an edge may have at most 30000. Send a smaller image."
    )


def test_too_many_pixels_are_refused_by_the_header() -> None:
    assert "20000 x 20000 pixels, 400 megapixels; at most 100 are accepted" in refusal(png(20_000, 20_000))


def test_limits_can_be_set() -> None:
    assert "at most 0.1 are accepted" in refusal(HOPPER, ImageLimits(max_pixels=100_000))
    assert "an edge may have at most 599" in refusal(HOPPER, ImageLimits(max_edge=599))
    assert f"{len(HOPPER)} bytes; at most 1000 are accepted" in refusal(HOPPER, ImageLimits(max_bytes=1000))


@pytest.mark.parametrize(("presets", "expected"), [((), "no variant"), (("thumb", "huge"), "huge")])
def test_unknown_presets_are_refused(presets: tuple[str, ...], expected: str) -> None:
    with pytest.raises(PermanentError, match=f"Cannot make {expected}: choose from thumb, medium, large"):
        render(HOPPER, presets, LIMITS)
