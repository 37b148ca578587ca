"""What a handler returned never fails its attempt: the effect has happened."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest

from waybill_worker.outcome import MAX_RESULT_BYTES, OUTCOME, Completed, result_of


class Unwritable:
    """Nothing that JSON knows."""


def circle() -> dict[str, Any]:
    made: dict[str, Any] = {}
    made["itself"] = made
    return made


def nested(levels: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(levels):
        made = {"a": made}
    return made


def test_a_handler_that_returns_nothing_has_an_empty_result() -> None:
    assert result_of(None) == {}


@pytest.mark.parametrize(
    ("returned", "kept"),
    [
        (
            {"status": 201, "location": None, "tags": ["a", "ü"]},
            {"status": 201, "location": None, "tags": ["a", "ü"]},
        ),
        (
            {"at": datetime(2026, 11, 29, tzinfo=UTC), "by": ("x", 1)},
            {"at": "2026-11-29T00:00:00Z", "by": ["x", 1]},
        ),
        ({1: "one"}, {"1": "one"}),
        ({"rate": math.nan, "most": math.inf}, {"rate": None, "most": None}),
    ],
)
def test_a_result_is_kept_as_plain_json(returned: object, kept: dict[str, Any]) -> None:
    assert result_of(returned) == kept
    assert json.loads(json.dumps(result_of(returned), allow_nan=False)) == kept


@pytest.mark.parametrize(
    ("returned", "why"),
    [
        ({"a": Unwritable()}, "it is not JSON (PydanticSerializationError: "),
        ({"file": "\udc80"}, "it is not JSON ("),
        (circle(), "it is not JSON (PydanticSerializationError: "),
        (nested(200), "it is not JSON (ValueError: "),
        (nested(100_000), "it is not JSON ("),
        (["sent"], "it is not a JSON object, but of type list"),
        ("sent", "it is not a JSON object, but of type str"),
        (True, "it is not a JSON object, but of type bool"),
        ({"text": "x" * 5_000_000}, "it has 5,000,011 bytes as JSON, and at most 32,768 are kept"),
    ],
)
def test_what_cannot_be_kept_is_left_out_and_the_result_says_so(returned: object, why: str) -> None:
    kept = result_of(returned)
    assert kept.keys() == {"omitted"}
    assert kept["omitted"].startswith(f"The work is done. Its result was left out: {why}")
    assert len(kept["omitted"]) < 400


@pytest.mark.parametrize("levels", [1, 50, 150, 180, 190, 195, 199])
def test_whatever_is_kept_can_be_read_again(levels: int) -> None:
    kept = result_of(nested(levels))
    outcome = Completed(at=datetime.now(UTC), seconds=0, max_attempts=1, result=kept)
    assert OUTCOME.validate_json(OUTCOME.dump_json(outcome)) == outcome


def test_the_largest_result_is_kept() -> None:
    around = len('{"a":""}')
    largest = {"a": "x" * (MAX_RESULT_BYTES - around)}
    assert result_of(largest) == largest
    assert result_of({"a": largest["a"] + "x"}).keys() == {"omitted"}
