import pytest

from contracts.images import (
    ACCEPTED_FORMATS,
    ImageLimits,
    describe_damage,
    foreign_format,
    is_only_untidy,
    sniff,
)

UNTIDY = "VipsJpeg: Corrupt JPEG data: 4 extraneous bytes before marker 0xdb\n"


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\xff\xd8\xff\xe1\x00\x00Exif", "jpeg"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "png"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "webp"),
        (b"GIF87a", "gif"),
        (b"GIF89a", "gif"),
    ],
)
def test_accepted_formats_are_known_by_their_signature(head: bytes, name: str) -> None:
    assert sniff(head) is ACCEPTED_FORMATS[name]


@pytest.mark.parametrize(
    "head", [b"", b"\xff\xd8", b"RIFF\x00\x00\x00\x00WAVE", b"GIF", b" \xff\xd8\xff", b"\x89PNG\n"]
)
def test_nearly_is_not_enough(head: bytes) -> None:
    assert sniff(head) is None
    assert foreign_format(head) is None


def test_limits_are_kept_at_their_edges() -> None:
    limits = ImageLimits(max_pixels=200, max_edge=20, max_bytes=1)

    assert limits.objection_to(20, 10) is None
    assert limits.objection_to(1, 20) is None
    assert "at most 20" in (limits.objection_to(21, 1) or "")
    assert "at most 0.0002" in (limits.objection_to(20, 11) or "")


def test_a_webp_tells_how_much_of_it_is_missing() -> None:
    head = b"RIFF" + (992).to_bytes(4, "little") + b"WEBP"

    text = describe_damage(ACCEPTED_FORMATS["webp"], head, 400, "webp: unable to parse image")
    assert text == "The WebP ends after 40 % of its data (400 of 1000 bytes). Send it again."


@pytest.mark.parametrize(
    ("complaint", "expected"),
    [
        ("unable to call avg\n  " + UNTIDY, True),
        ("VipsJpeg: Warning: unknown JFIF revision number 9.9", True),
        ("unable to call avg\n  VipsJpeg: Corrupt JPEG data: premature end of data segment\n", False),
        ("VipsJpeg: Corrupt JPEG data: 710 extraneous bytes before marker 0xd9", False),
        ("VipsJpeg: Corrupt JPEG data: 710 extraneous bytes before marker 0xc4", False),
        (UNTIDY + "VipsJpeg: Corrupt JPEG data: bad Huffman code", False),
        ("vipspng: libpng read error", False),
        ("", False),
    ],
)
def test_untidy_is_told_from_damaged(complaint: str, expected: object) -> None:
    assert is_only_untidy(complaint) is expected
