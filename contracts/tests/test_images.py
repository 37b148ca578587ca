import pytest

from waybill_contracts.images.formats import ACCEPTED_FORMATS, sniff, unsupported_format
from waybill_contracts.images.limits import ImageLimits


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\xff\xd8\xff\xe1\x00\x00Exif", "jpeg"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "png"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "webp"),
        (b"GIF87a", "gif"),
        (b"GIF89a", "gif"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "heic"),
        (b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1heicmiaf", "heic"),
        (b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1miaf", "avif"),
        (b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00miafavifmif1", "avif"),
    ],
)
def test_accepted_formats_are_known_by_their_signature(head: bytes, name: str) -> None:
    assert sniff(head) is ACCEPTED_FORMATS[name]


@pytest.mark.parametrize(
    "head", [b"", b"\xff\xd8", b"RIFF\x00\x00\x00\x00WAVE", b"GIF", b" \xff\xd8\xff", b"\x89PNG\n"]
)
def test_nearly_is_not_enough(head: bytes) -> None:
    assert sniff(head) is None
    assert unsupported_format(head) is None


def test_limits_are_kept_at_their_edges() -> None:
    limits = ImageLimits(max_pixels=200, max_edge=20, max_bytes=1)

    assert limits.size_error(20, 10) is None
    assert limits.size_error(1, 20) is None
    assert "at most 20" in (limits.size_error(21, 1) or "")
    assert "at most 0.0002" in (limits.size_error(20, 11) or "")


@pytest.mark.parametrize("brand", [b"mif1", b"msf1"])
def test_heif_that_is_coded_otherwise_is_named_and_not_taken(brand: bytes) -> None:
    head = b"\x00\x00\x00\x18ftyp" + brand + b"\x00\x00\x00\x00mif1jpeg"

    assert sniff(head) is None
    assert unsupported_format(head) == "HEIF"


@pytest.mark.parametrize("head", [b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isomavif", b"\0\0\0\x18ftyp"])
def test_a_film_is_no_picture_whatever_it_is_compatible_with(head: bytes) -> None:
    assert sniff(head) is None
