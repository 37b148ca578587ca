import json
import subprocess
import sys
from urllib.parse import quote

import pytest

from waybill_contracts.kinds.emails import EmailRequested
from waybill_contracts.kinds.users import UserCreated
from waybill_contracts.privacy.mask import NO_MASK, Mask, mask_addresses

TEXT = 'Dear Ann,\nyour code is "7 §-x".\n'
MAIL = Mask.of(EmailRequested(to="ann.lee@example.test", subject="Your code", text=TEXT))

#: Processor time, whatever else the machine does: by the square of its length a text would take many minutes.
LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_CPU, (20, 20)); "


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


@pytest.mark.parametrize("repeated", ["a", "%D0", "%4", "a%40"])
def test_a_long_text_without_an_address_costs_no_time(repeated: str) -> None:
    look = LIMITED + (
        f"from waybill_contracts.privacy.mask import mask_addresses; "
        f"text = {repeated!r} * 200_000 + '@'; "
        "assert mask_addresses(text) == text"
    )
    subprocess.run([sys.executable, "-c", look], check=True)


SHORT = Mask(["Anna", "it's", 12345, "late"])


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("Anna", "***"),
        ("for anna.", "for ***."),
        ('"Anna"', '"***"'),
        ("user_anna_7", "user_***_7"),
        ("?name=Anna&x=1", "?name=***&x=1"),
        ("%3Fname%3Danna%26x", "%3Fname%3D***%26x"),
        (json.dumps("Dear\nAnna,\tyou"), '"Dear\\n***,\\tyou"'),
        (json.dumps("\u017dAnna"), json.dumps("\u017d").rstrip('"') + '***"'),
        ("no. 12345, 123456", "no. ***, 123456"),
        ("it's it%27s", "*** ***"),
        ("Hannah, Annapolis, annas", "Hannah, Annapolis, annas"),
        ("translated, related; too late", "translated, related; too ***"),
    ],
)
def test_a_short_value_is_hidden_as_a_whole_word_and_left_in_others(told: str, shown: str) -> None:
    assert SHORT.text(told) == shown


def test_a_long_value_is_hidden_within_words_too() -> None:
    assert Mask(["Annapolis"]).text("xannapolisx") == "x***x"


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("no mailbox for ann@example.test here", "no mailbox for a***@example.test here"),
        ("'ann@example.test'", "'a***@example.test'"),
        ("?to=ann%2Bx%40example.test&n=1", "?to=a***%40example.test&n=1"),
        (json.dumps({"to": "ann@example.test"}), '{"to": "a***@example.test"}'),
    ],
)
def test_an_address_is_masked_wherever_it_stands(told: str, shown: str) -> None:
    assert mask_addresses(told) == shown


def test_many_short_values_in_a_long_text_cost_no_time() -> None:
    look = LIMITED + (
        "from waybill_contracts.privacy.mask import Mask; "
        "names = [f'n{number:04}' for number in range(2000)]; "
        "text = 'n1999x' * 20_000 + ' n1999'; "
        "assert Mask(names).text(text) == 'n1999x' * 20_000 + ' ***'"
    )
    subprocess.run([sys.executable, "-c", look], check=True)


def test_the_lines_of_a_long_mail_are_hidden_the_longest_first() -> None:
    lines = [f"line number {number} of a long mail" for number in range(3000)]
    mask = Mask.of(EmailRequested(to="ann.lee@example.test", subject="Long", text="\n".join(lines)))

    assert mask.text(f"refused: {lines[1]}, {lines[2999]} for ann.lee") == "refused: ***, *** for ***"


def test_addresses_are_masked_within_values_too() -> None:
    told = NO_MASK.errors({"to": ["ann@example.test"], "n": 3})
    assert told == {"to": ["a***@example.test"], "n": 3}
