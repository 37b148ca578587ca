"""A value is hidden in whatever escapes those write that we speak with: by property, over all of them."""

import base64
import html
import json
import quopri
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from email.header import Header
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from waybill_contracts.kinds.users import UserCreated
from waybill_contracts.privacy.mapped_text import MappedText, normalize
from waybill_contracts.privacy.mask import Mask, mask_addresses
from waybill_contracts.privacy.protocol_words import PROTOCOL_WORDS

Write = Callable[[str], str]

WRITINGS: dict[str, Write] = {
    "as it is": str,
    "upper case": str.upper,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON of PHP": lambda text: json.dumps(text)[1:-1].replace("/", r"\/"),
    "JSON in JSON": lambda text: json.dumps(json.dumps({"v": text}))[11:-4],
    "JSON in JSON, in UTF-8": lambda text: json.dumps(
        json.dumps(text, ensure_ascii=False), ensure_ascii=False
    )[3:-3],
    "URL": lambda text: quote(text, safe=""),
    "URL, lower case": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "path": quote,
    "form": quote_plus,
    "URL twice": lambda text: quote(quote(text, safe=""), safe=""),
    "HTML": html.escape,
    "HTML by numbers": lambda text: "".join(f"&#{ord(each)};" for each in text),
    "HTML by hexadecimal numbers": lambda text: "".join(f"&#x{ord(each):X};" for each in text),
    "XML": escape,
    "XML attribute": lambda text: quoteattr(text)[1:-1],
    "HTML in JSON": lambda text: json.dumps(html.escape(text))[1:-1],
    "Python": lambda text: repr(text)[1:-1],
    "Python, ASCII": lambda text: ascii(text)[1:-1],
    "Python's bytes": lambda text: repr(text.encode())[2:-1],
    "C, octal": lambda text: "".join(f"\\{byte:03o}" for byte in text.encode()),
    "quoted printable": lambda text: quopri.encodestring(text.encode(), quotetabs=True).decode(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of URLs": lambda text: base64.urlsafe_b64encode(f"x={text}".encode()).decode(),
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
}


#: What stands before and behind a value.
AROUND = [
    ("550 <", "> refused"),
    ("PUT /users?name=", "&x=1"),
    (r"{\"name\": \"", r"\"}"),
    ("('", "')"),
    ("", ""),
]


def has_no_space_around(text: str) -> bool:
    return text == text.strip().strip("+_")


#: What names, addresses and texts consist of, and what is escaped.
LETTERS = st.sampled_from("abcxyzAZ019äéñßøЖяعμ王小한🙂 .,-'\"/\\&<>%+=_@#;:?!()[]{}~$€\t")
#: Spaces around a value may stay, those too that it begins or ends with in escapes, such as `%09`.
VALUES = (
    st.text(LETTERS, min_size=12, max_size=40)
    .map(lambda text: text.strip(" \t+_"))
    .filter(lambda text: len(normalize(text)) >= 8)
    .filter(
        lambda text: all(each.text == each.text.strip().strip("+_") for each in MappedText(text).decodings())
    )
)


@pytest.mark.parametrize("writing", WRITINGS)
@settings(max_examples=40)  # of each of 26
@given(value=VALUES, around=st.sampled_from(AROUND))
@example(value='Ann "the boss" O\'Neil/Böhm', around=AROUND[0])
@example(value="a+b c%41 &amp; =41 \\u0041 C:\\new\\x41", around=AROUND[0])
@example(value="Ada Lovelace & Co/x", around=AROUND[1])
@example(value="000000000<_\\", around=AROUND[0])
def test_a_value_cannot_be_read_in_any_writing(writing: str, value: str, around: tuple[str, str]) -> None:
    before, after = (each.replace("=", "=3D") if writing == "quoted printable" else each for each in around)
    shown = Mask([value]).text(before + WRITINGS[writing](value) + after)

    assert "***" in shown
    assert shown.startswith(before)
    assert shown.endswith(after[-1:])
    # The beginning of an escape may stay behind it, with a sign that is written for a space before it.
    beginnings = value.removeprefix(value.rstrip("\\%&=+_ "))
    assert len(shown) <= len(f"{before}***{WRITINGS[writing](beginnings)}{after}")


@pytest.mark.parametrize(
    "word",
    [
        lambda text: Header(text, "utf-8").encode(),
        lambda text: Header(text, "iso-8859-1").encode(),
        lambda text: f"=?utf-8?q?{quopri.encodestring(text.encode(), header=True).decode()}?=",
    ],
)
def test_a_value_in_an_encoded_word_of_a_mail_is_hidden(word: Write) -> None:
    shown = Mask(["Jörg Meyer-Böhm"]).text(f"554 Subject: {word('Jörg Meyer-Böhm')} looks like spam")
    assert "Meyer" not in shown
    assert "***" in shown
    assert shown.startswith("554 Subject: =?")
    assert shown.endswith("?= looks like spam")


@given(value=VALUES, kept=st.integers(8, 40))
@example(value="Ada Lovelace, of the Analytical Engine", kept=8)
@example(value="0" * 8 + "a" * 32, kept=8)
def test_the_beginning_of_a_value_where_a_text_was_cut_is_hidden(value: str, kept: int) -> None:
    beginning = value[: max(kept, 8)]
    if len(normalize(beginning).rstrip(" .\"'")) < 8:
        return
    shown = Mask([value]).text(f"refused: {beginning}… (the circuit stays open), {beginning}")
    assert normalize(beginning).rstrip(" .\"'") not in normalize(shown)


@given(text=st.text(LETTERS | st.characters(), max_size=60))
def test_each_character_is_found_in_the_original(text: str) -> None:
    for decoded in MappedText(text).decodings():
        plain = decoded.normalized()
        places = [plain.original(at, at + 1) for at in range(len(plain.text))]
        assert places == sorted(places)
        assert all(0 <= start < end <= len(text) for start, end in places)
    plain = MappedText(text).normalized()
    for at, character in enumerate(plain.text):
        start, end = plain.original(at, at + 1)
        assert character == " " or character in normalize(text[start:end])


@given(text=st.text(LETTERS | st.characters(), max_size=60), value=VALUES)
def test_what_holds_no_value_stays_as_it_is(text: str, value: str) -> None:
    if "***" not in (shown := Mask([value]).text(text)):
        assert shown == text


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["Kept"], "2.0.0 kept as 7"),
        (["Queued", "OK"], "250 2.0.0 Ok: queued as 4ABC12"),
        (["Message", "Delivery"], "250 2.6.0 Message accepted for delivery"),
        (["Return", "Error", "Line"], 'File "x.py", line 3, in f\n    return g()\nValueError: error'),
    ],
)
def test_what_servers_say_to_everyone_is_not_hidden(values: list[str], said: str) -> None:
    assert Mask(values).error(said) == said


def test_a_person_called_like_an_answer_is_hidden_with_the_whole_name() -> None:
    mask = Mask.of(UserCreated(user_id="u-1", email="kept.away@example.test", name="Kept Away"))
    assert mask.error("2.0.0 kept as 7 for Kept  Away") == "2.0.0 kept as 7 for ***"


@pytest.mark.parametrize("name", ["Will", "Mark", "Grant", "Long", "Good", "Anna", "Faith", "Bill", "Rose"])
def test_usual_names_are_no_words_of_protocols(name: str) -> None:
    assert name.lower() not in PROTOCOL_WORDS


@pytest.mark.parametrize(
    ("value", "told", "shown"),
    [
        ("王小明", "用户王小明不存在", "用户***不存在"),
        ("田中", "550 %E7%94%B0%E4%B8%AD unknown", "550 *** unknown"),
        ("Øyvind", r"no {\"name\": \"\u00d8yvind\"}", r"no {\"name\": \"***\"}"),
        ("ᎠᏂᏴᏫᏯᎢ", "no ᎠᏂᏴᏫᏯᎢ, no ꭰꮒᏼꮻꮿꭲ", "no ***, no ***"),
        ("Ann", "Ann is too short to be looked for", "Ann is too short to be looked for"),
    ],
)
def test_names_of_few_characters(value: str, told: str, shown: str) -> None:
    assert Mask([value]).text(told) == shown


@pytest.mark.parametrize("at", ["@", "%40", r"\u0040", "&#64;", "&#x40;", "&commat;"])
def test_addresses_of_others_are_masked_in_every_writing(at: str) -> None:
    assert mask_addresses(f"<bob.lee{at}example.test>") == f"<b***{at}example.test>"


def test_a_long_text_costs_time_by_its_length() -> None:
    repeated = [
        "%",
        "%D0",
        "%25",
        "\\\\",
        r"\u0041",
        "&amp;",
        "=41",
        "QUJD",
        "é",
        " +",
        "a@",
        "...",
        "nowhere ",
    ]
    # Processor time, whatever else the machine does: by the square of its length it would take many minutes.
    limited = "import resource; resource.setrlimit(resource.RLIMIT_CPU, (20, 20)); "
    look = limited + (
        "from waybill_contracts.privacy.mask import Mask; mask = Mask(['nowhere to be found', 'Anna']); "
        f"assert all(mask.error(each * 20_000 + ' nowhere to be found') for each in {repeated!r})"
    )
    subprocess.run([sys.executable, "-c", look], check=True)
