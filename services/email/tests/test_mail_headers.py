"""The header lines that we write, read back by readers that are not ours."""

import base64
import re
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import getaddresses

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from waybill_email.headers import (
    HeaderError,
    Mailbox,
    literal_header,
    mailbox_header,
    require_ours,
    text_header,
)

#: A name that some versions of the standard library's parser turn into headers and a body.
ATTACK = "=?utf-8?q?Ann=0D=0AContent-Type:_text/html=0D=0A=0D=0A<h1>Locked</h1><!--?="
WORD = re.compile(r"=\?utf-8\?b\?([A-Za-z0-9+/=]+)\?=")

characters = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))
#: Short words of several scripts and lengths in bytes, in one line: what headers are made of.
words = st.sampled_from(
    [
        "пятницу",
        "принят",
        "à",
        "в",
        "à la",
        "Order",
        "42",
        "注文",
        "👩‍👩‍👧",
        "=?",
        "?=",
        ATTACK,
        "x" * 70,
        ",",
        '"',
        "\\",
    ]
)
lines = st.one_of(
    st.text(characters, max_size=255),
    st.lists(words, max_size=40).map(" ".join),
    st.lists(words, max_size=40).map("".join),
)


def read(header: str) -> EmailMessage:
    message = message_from_bytes(header.encode("ascii") + b"\r\n", policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert len(message.keys()) == 1
    return message


def unfolded(header: str) -> str:
    return re.sub(r"\r\n(?=[ \t])", "", header).removesuffix("\r\n").partition(": ")[2]


def check_lines(header: str) -> None:
    """RFC 5322 and 2047 on the form of the lines; each word contains whole characters."""
    assert header.endswith("\r\n")
    for number, line in enumerate(header.removesuffix("\r\n").split("\r\n")):
        assert re.fullmatch(r"[\x20-\x7e]*", line)
        assert not number or re.match(r" [^ ]", line)
        found = WORD.findall(line)
        # Longer than 78 is only what has no place to fold.
        assert len(line) <= (76 if found else 78) or not re.search(r"[^\s:] (?! )", line)
        assert len(line) <= 998
        for word in WORD.finditer(line):
            assert len(word.group()) <= 75
            base64.b64decode(word.group(1), validate=True).decode("utf-8")


@given(lines)
@example(ATTACK)
@example("пятницу принят пятницу à в")
@example(" a ")
@example("a  b" * 60)
@example("x" * 1200)
@example("")
def test_a_text_is_read_as_it_was_written(text: str) -> None:
    header = text_header("Subject", text)

    check_lines(header)
    assert str(make_header(decode_header(unfolded(header)))) == text
    assert read(header)["Subject"] == text


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=600))
def test_text_in_ascii_stays_readable(text: str) -> None:
    header = text_header("Subject", text)

    check_lines(header)
    if "=?" in text or text != text.strip() or len(max(re.split(r"(?<=\S) (?=\S)", text), key=len)) > 900:
        assert WORD.search(header)
    else:
        assert unfolded(header) == text


@given(lines)
@example("Example, Incorporated, of a long street in a long town, and of a longer one in a longer town")
@example('"a" \\')
@example(" a ")
@example("Waybill Störung")
@example("a@b.test, Bcc: <c@d.test>")
def test_a_shown_name_is_read_as_it_was_written_and_stays_one_mailbox(name: str) -> None:
    header = mailbox_header("From", Mailbox(name, "no-reply@mail.example.com"))

    check_lines(header)
    ((raw, address),) = getaddresses([unfolded(header)])
    (mailbox,) = read(header)["From"].addresses
    assert (address, mailbox.addr_spec) == ("no-reply@mail.example.com",) * 2
    assert str(make_header(decode_header(raw))) == name


@pytest.mark.parametrize(
    "separator", ["\r\n", "\n", "\r", "\x00", "\x0b", "\x1f", "\x7f", "\x85", "\u2028", "\u2029"]
)
def test_no_control_character_gets_into_a_header(separator: str) -> None:
    text = f"Ann{separator}Bcc: eve@example.com"

    with pytest.raises(HeaderError, match="the Subject contains a line break"):
        text_header("Subject", text)
    with pytest.raises(HeaderError, match="the From contains a line break"):
        mailbox_header("From", Mailbox(text, "a@b.test"))
    with pytest.raises(HeaderError, match="the List-Unsubscribe contains"):
        literal_header("List-Unsubscribe", text)


@pytest.mark.parametrize("token", ["=?utf-8?q?x?=", "ä", "a ", " a", "x" * 901, "a\n"])
def test_what_machines_read_is_written_as_it_is_or_not_at_all(token: str) -> None:
    with pytest.raises(HeaderError, match="cannot be written"):
        literal_header("List-Unsubscribe", token)
    with pytest.raises(HeaderError, match="cannot be written"):
        mailbox_header("To", Mailbox("", token))


def test_a_literal_is_folded_between_its_tokens_only() -> None:
    first, second = f"<https://x.test/{'a' * 60}>,", f"<https://x.test/{'b' * 800}>"

    header = literal_header("List-Unsubscribe", first, second)

    assert header == f"List-Unsubscribe: {first}\r\n {second}\r\n"


OURS = b"From: a@b.test\r\nSubject: =?utf-8?b?w6Q=?=\r\n =?utf-8?b?w6Q=?=\r\nMIME-Version: 1.0\r\n\r\nHi\r\n"
NAMES = ["From", "Subject", "MIME-Version"]


def test_what_we_wrote_is_let_through() -> None:
    require_ours(OURS, NAMES)


@pytest.mark.parametrize(
    ("written", "instead", "complaint"),
    [
        (b"Subject: ", b"Bcc: eve@example.com\r\nSubject: ", "a header that was not written"),
        (b"MIME-Version: 1.0\r\n", b"", "a header that was not written"),
        (b"Subject", b"Content-Type: text/html\r\n\r\nSubject", "a header that was not written"),
        (b"Subject: ", b"Subject: \r\n\r\n", "a header that was not written"),
        (b"a@b.test", b"a@b.test\nBcc: eve@example.com", "control character"),
        (b"Subject: ", b"Subject: =?utf-8?q?x?= ", "encoded word"),
        (b"a@b.test", b"=?utf-8?b?eA==?=@b.test", "encoded word"),
        (b"Hi", b"Hi\x00", "control character"),
        (b"Hi", b"Hi\nyou", "control character"),
        (b"Hi", b"Hi\ryou", "control character"),
        (b"Hi", b"H\xc3\xa4", "control character"),
        (b"Hi", b"x" * 999, "longer than 998"),
    ],
)
def test_what_we_did_not_write_is_refused(written: bytes, instead: bytes, complaint: str) -> None:
    with pytest.raises(HeaderError, match=complaint):
        require_ours(OURS.replace(written, instead), NAMES)
