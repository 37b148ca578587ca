import io
import random
import struct
import tempfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pillow_heif
import pytest
import pyvips

from waybill_contracts.images.limits import ImageLimits
from waybill_gateway.probe.examination import MAX_JPEG_SCANS, probe
from waybill_gateway.probe.facts import ImageFacts, RefusedImage
from waybill_testkit.photograph import make_photograph

FORMS = ["jpeg", "progressive", "png", "interlaced", "webp", "lossless", "gif", "avif", "heic"]
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'


def heic(picture: pyvips.Image) -> bytes:
    file = io.BytesIO()
    size, pixels = (picture.width, picture.height), picture.write_to_memory()
    pillow_heif.from_bytes("RGB", size, pixels).save(file)
    return file.getvalue()


@cache
def encoded(form: str) -> bytes:
    noise = pyvips.Image.gaussnoise(300, 200, mean=128, sigma=15, seed=7)
    ramp = pyvips.Image.xyz(300, 200)
    picture = (noise + ramp[0] * 0.2).bandjoin([noise, noise + ramp[1] * 0.2]).cast("uchar")
    picture = picture.copy(interpretation="srgb")
    encoders: dict[str, Callable[[], bytes]] = {
        "jpeg": picture.jpegsave_buffer,
        "progressive": lambda: picture.jpegsave_buffer(interlace=True),
        "png": picture.pngsave_buffer,
        "interlaced": lambda: picture.pngsave_buffer(interlace=True),
        "webp": picture.webpsave_buffer,
        "lossless": lambda: picture.webpsave_buffer(lossless=True),
        "gif": picture.gifsave_buffer,
        "avif": lambda: picture.heifsave_buffer(compression="av1"),
        "heic": lambda: heic(picture),
    }
    return encoders[form]()


def probe_bytes(data: bytes, limits: ImageLimits | None = None) -> ImageFacts:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return probe(file.fileno(), limits or ImageLimits())


def refusal(data: bytes, limits: ImageLimits | None = None) -> tuple[str, str]:
    with pytest.raises(RefusedImage) as caught:
        probe_bytes(data, limits)
    assert str(caught.value) == caught.value.detail
    return caught.value.code, caught.value.detail


@pytest.mark.parametrize("form", FORMS)
def test_whole_images_are_taken(form: str) -> None:
    name = {"progressive": "jpeg", "interlaced": "png", "lossless": "webp"}.get(form, form)

    assert probe_bytes(encoded(form)) == ImageFacts(name, f"image/{name}", 300, 200)


def test_a_photograph_is_told_as_it_is_stored(tmp_path: Path) -> None:
    make_photograph(tmp_path / "p.jpg")
    with (tmp_path / "p.jpg").open("rb") as file:
        assert probe(file.fileno()) == ImageFacts("jpeg", "image/jpeg", 4000, 3000)


def test_the_files_position_is_left_alone() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(encoded("webp"))
        file.seek(10)
        probe(file.fileno(), ImageLimits())

        assert file.tell() == 10
        assert file.read() == encoded("webp")[10:]


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95, 0.995])
@pytest.mark.parametrize("form", FORMS)
def test_a_file_cut_short_is_refused_with_its_length(form: str, share: float) -> None:
    data = encoded(form)
    part = data[: int(len(data) * share)]
    code, detail = refusal(part)

    assert code == "damaged"
    assert str(len(part)) in detail
    assert detail.endswith(("Send it again.", "Send the original."))
    assert "vips" not in detail.lower()


@pytest.mark.parametrize("form", ["jpeg", "png", "interlaced", "gif"])
def test_a_hole_in_the_data_is_seen(form: str) -> None:
    data = encoded(form)
    middle = len(data) // 2

    assert refusal(data[:middle] + data[middle + len(data) // 10 :])[0] == "damaged"


@pytest.mark.parametrize("form", ["progressive", "png", "interlaced", "gif"])
def test_overwritten_data_is_seen(form: str) -> None:
    data = bytearray(encoded(form))
    at = len(data) // 3
    data[at : at + 400] = random.Random(5).randbytes(400).replace(b"\xff", b"\xfe")

    assert refusal(bytes(data))[0] == "damaged"


def test_what_cameras_write_between_segments_is_no_damage() -> None:
    data = encoded("jpeg")
    first_segment_ends = 4 + int.from_bytes(data[4:6], "big")

    assert probe_bytes(data[:first_segment_ends] + bytes(4) + data[first_segment_ends:]).format == "jpeg"


def test_a_jpeg_without_its_end_marker_is_taken() -> None:
    assert probe_bytes(encoded("jpeg")[:-2]) == ImageFacts("jpeg", "image/jpeg", 300, 200)


def test_a_jpeg_of_twelve_bits_is_not_called_damaged() -> None:
    data = bytearray(encoded("jpeg"))
    data[data.index(b"\xff\xc0") + 4] = 12

    assert refusal(bytes(data)) == (
        "unsupported_format",
        "12-bit JPEG is not supported. Save it with 8 bits, or as PNG.",
    )


def test_an_empty_file() -> None:
    assert refusal(b"") == ("empty", "The file is empty. Send the image itself.")


@pytest.mark.parametrize("data", [b"just words\n" * 100, b"x", b"<html>" + encoded("jpeg"), b"#!/bin/sh\n"])
def test_what_is_no_image(data: bytes) -> None:
    expected = (
        "The file is not an image, even if its name says so. Send one of jpeg, png, webp, gif, avif, heic."
    )

    assert refusal(data) == ("not_an_image", expected)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (SVG, "SVG"),
        (b"%PDF-1.7\n", "PDF"),
        (b"MM\x00*\x00\x00\x00\x08", "TIFF"),
        (b"BM" + bytes(60), "BMP"),
        (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1jpeg", "HEIF"),
    ],
)
def test_formats_that_are_not_taken_are_named(data: bytes, name: str) -> None:
    expected = f"{name} files are not supported. Send one of jpeg, png, webp, gif, avif, heic."

    assert refusal(data) == ("unsupported_format", expected)


@pytest.mark.parametrize(
    "signature", [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF\x04\x00\x00\x00WEBP", b"GIF89a"]
)
def test_a_signature_before_something_else_is_damage(signature: bytes) -> None:
    assert refusal(signature + SVG)[0] == "damaged"


@pytest.mark.parametrize("data", [SVG, b"II*\x00\x08\x00\x00\x00", b"P6 2 2 255\n" + bytes(12)])
def test_no_other_loader_can_be_reached(data: bytes) -> None:
    probe_bytes(encoded("png"))  # the first call closes them

    with pytest.raises(pyvips.Error, match="not in a known format"):
        pyvips.Image.new_from_buffer(data, "")


def png(width: int, height: int) -> bytes:
    """A PNG that says it is that large; its data is one row."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    row = zlib.compress(bytes(1 + 3 * min(width, 1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", row) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height"), [(50_000, 50_000), (1, 1_000_000), (1_000_000, 1), (20_000, 20_000)]
)
def test_too_large_is_refused_by_the_header(width: int, height: int) -> None:
    code, detail = refusal(png(width, height))

    assert code == "too_large"
    assert detail.startswith(f"The image is {width} x {height} pixels")
    assert detail.endswith("Send a smaller image.")


def test_limits_can_be_set() -> None:
    data = encoded("jpeg")

    assert refusal(data, ImageLimits(max_pixels=59_999))[0] == "too_large"
    assert refusal(data, ImageLimits(max_edge=299))[0] == "too_large"
    assert refusal(data, ImageLimits(max_bytes=len(data) - 1))[0] == "too_large"
    assert probe_bytes(data, ImageLimits(max_pixels=60_000, max_edge=300, max_bytes=len(data))).width == 300


def test_a_jpeg_of_very_many_scans_is_not_decoded() -> None:
    data = encoded("progressive")
    last_scan = data.rindex(b"\xff\xda")
    scans = data[last_scan:-2] * MAX_JPEG_SCANS

    code, detail = refusal(data[:-2] + scans + data[-2:])
    assert code == "unsupported_format"
    assert f"more than {MAX_JPEG_SCANS} scans" in detail
