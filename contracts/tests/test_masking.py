import json
import subprocess
import sys
from urllib.parse import quote

import pytest

from contracts.events import EmailRequested, UserCreated
from contracts.masking import NO_MASK, Mask, mask_addresses

TEXT = 'Dear Ann,\nyour code is "7 §-x".\n'
MAIL = Mask.of(EmailRequested(to="ann.lee@example.test", subject="Your code", text=TEXT))


@pytest.mark.parametrize(
    "repeated",
    [
        "ann.lee@example.test",
        "ANN.LEE@example.test",
        "user ann.lee is unknown",
        quote("ann.lee@example.test", safe=""),
        json.dumps(TEXT),
        repr(TEXT),
        'your code is "7 §-x".',
    ],
)
def test_a_value_is_hidden_however_somebody_repeats_it(repeated: str) -> None:
    masked = MAIL.text(f"550 <{repeated}> refused")
    assert "***" in masked
    assert masked.startswith("550 <")
    for part in ("ann.lee", "7 §"):
        assert part not in masked.lower()


def test_every_text_and_number_within_a_field_is_hidden() -> None:
    user = UserCreated(
        user_id="u-1",
        email="ann@example.test",
        name="Ann Lee",
        attributes={"phone": 4930123456, "tags": ["golden"], "vip": True, "no": 7},
    )
    told = Mask.of(user).json({"why": ["Ann Lee: 4930123456 golden"], "no": 7, "user": "u-1"})
    assert told == {"why": ["***: *** ***"], "no": 7, "user": "u-1"}


def test_addresses_keep_what_helps_an_operator() -> None:
    assert mask_addresses("<ann@mail.example.test>: no") == "<a***@mail.example.test>: no"
    assert NO_MASK.error("ann@example.test, bob@example.test") == "a***@example.test, b***@example.test"
    assert mask_addresses("a @ b, x@y, @example.test") == "a @ b, x@y, @example.test"


@pytest.mark.parametrize("repeated", ["a", "%D0"])
def test_a_long_text_without_an_address_costs_no_time(repeated: str) -> None:
    # In a process of its own, which can be ended: by the square of its length it would take many minutes.
    look = (
        f"from contracts.masking import mask_addresses; text = {repeated!r} * 1_000_000 + '@'; "
        "assert mask_addresses(text) == text"
    )
    subprocess.run([sys.executable, "-c", look], timeout=60, check=True)


def test_the_lines_of_a_long_mail_are_hidden_the_longest_first() -> None:
    lines = [f"line number {number} of a long mail" for number in range(3000)]
    mask = Mask.of(EmailRequested(to="ann.lee@example.test", subject="Long", text="\n".join(lines)))

    assert mask.text(f"refused: {lines[1]}, {lines[2999]} for ann.lee") == "refused: ***, *** for ***"


def test_addresses_are_masked_within_values_too() -> None:
    told = NO_MASK.errors({"to": ["ann@example.test"], "n": 3})
    assert told == {"to": ["a***@example.test"], "n": 3}
