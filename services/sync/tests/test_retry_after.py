from datetime import UTC, datetime

import pytest

from waybill_sync.retry_after import parse_retry_after

NOW = datetime(1994, 11, 6, 8, 49, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 30),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 30),
        ("Sun Nov  6 08:49:37 1994", 30),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0),
        ("86401", 86_400),
        ("999999999999", 86_400),
        ("Sun, 06 Nov 2094 08:49:37 GMT", 86_400),
    ],
)
def test_a_wait(value: str, seconds: float) -> None:
    assert parse_retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "soon",
        "-5",
        "1.5",
        "1e3",
        "+7",
        "٣٠",
        "9" * 5000,
        "Sun, 99 Nov 1994 08:49:37 GMT",
        "inf",
        "\x00",
    ],
)
def test_nonsense_is_no_wait(value: str | None) -> None:
    assert parse_retry_after(value, NOW) is None
