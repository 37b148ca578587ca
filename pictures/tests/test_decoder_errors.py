import pytest

from waybill_contracts.images.formats import ACCEPTED_FORMATS
from waybill_pictures.decoder_errors import describe_damage, is_harmless_warning, unsupported_feature

UNTIDY = "VipsJpeg: Corrupt JPEG data: 4 extraneous bytes before marker 0xdb\n"


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
    assert is_harmless_warning(complaint) is expected


@pytest.mark.parametrize(
    ("complaint", "expected"),
    [
        ("VipsJpeg: Unsupported JPEG data precision 12", "12-bit JPEG is not supported."),
        ("VipsJpeg: Unsupported JPEG process: SOF type 0xc5", "This kind of JPEG is not supported."),
        ("heif: compression format has not been built in: HEVC", "The compression of this file"),
    ],
)
def test_what_is_not_supported_is_told_from_damage(complaint: str, expected: str) -> None:
    assert (unsupported_feature(complaint) or "").startswith(expected)
    assert unsupported_feature(UNTIDY) is None
