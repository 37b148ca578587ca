"""Writes the header lines of a mail from text, without a parser of headers."""

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

#: RFC 5322, 2.1.1: the recommended and the absolute maximum length of a line, without CR LF.
_GOOD_LINE, MAX_LINE = 78, 998
#: RFC 2047, 2: maximum length of a line with an encoded word, and of the word.
_WORD_LINE, _MAX_WORD = 76, 75
_WORD_BEGIN, _WORD_END = "=?utf-8?b?", "?="
#: A token that is longer leaves no room for the header's name on its line.
_MAX_TOKEN: Final = 900
#: Not allowed in a header, encoded or not: control characters, line breaks of Unicode, lone surrogates.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
#: Text that needs no encoding in a header. Spaces at its ends would be lost.
_PLAIN: Final = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?")
_QUOTABLE: Final = re.compile(r"[\x20-\x7e]+")
#: RFC 5322, 3.2.3: words that need no quotes.
_ATOMS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
#: A line may be folded at a single space: a run of them would leave a line of spaces, which some drop.
_FOLD: Final = re.compile(r"(?<=\S) (?=\S)")
_OUR_WORD: Final = re.compile(rb"(?<![^ ])=\?utf-8\?b\?[A-Za-z0-9+/]+={0,2}\?=(?![^ \r])")
#: Seven-bit text in lines that end with CR LF.
_UNSAFE_BYTE: Final = re.compile(rb"[^\t\r\n\x20-\x7e]|\r(?!\n)|(?<!\r)\n")
_BAD_LINE: Final = re.compile(rb"[^\r\n]{%d}" % (MAX_LINE + 1))


class HeaderError(ValueError):
    """A text is not allowed in a header, or a message contains a header that was not written here."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address, checked by the caller, with a display name; empty: none."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        """The part after the `@`."""
        return self.address.rpartition("@")[2]


def text_header(name: str, text: str) -> str:
    """A header with a text for readers, such as `Subject`.

    Args:
        name: name of the header, a constant.
        text: untrusted text. ASCII without `=?` is written unchanged, other text as encoded words (RFC 2047).

    Returns:
        Its lines, each ending with CR LF; unfolded and decoded they are the text again.

    Raises:
        HeaderError: it is not one line, or contains control characters.
    """
    require_one_line(name, text)
    tokens = _FOLD.split(text)
    if _PLAIN.fullmatch(text) and _is_writable(text, tokens):
        return _folded(name, tokens, _GOOD_LINE)
    return _folded(name, list(_words(text, len(name) + 2)), _WORD_LINE)


def mailbox_header(name: str, mailbox: Mailbox) -> str:
    """A header with one mailbox, such as `From`.

    Raises:
        HeaderError: the display name is not one line, or the address could be read as something else.
    """
    shown, address = mailbox.name, mailbox.address
    require_one_line(name, shown)
    _require_literal(name, address)
    if not shown:
        return _folded(name, [address], _GOOD_LINE)
    tokens = _FOLD.split(shown if _ATOMS.fullmatch(shown) else _quoted(shown))
    if _QUOTABLE.fullmatch(shown) and _is_writable(shown, tokens):
        return _folded(name, [*tokens, f"<{address}>"], _GOOD_LINE)
    return _folded(name, [*_words(shown, len(name) + 2), f"<{address}>"], _WORD_LINE)


def literal_header(name: str, *tokens: str) -> str:
    """A header for machines: its tokens are written unchanged, or refused.

    Raises:
        HeaderError: a token could be read as something else.
    """
    for token in tokens:
        _require_literal(name, token)
    return _folded(name, tokens, _GOOD_LINE)


def require_one_line(name: str, text: str) -> None:
    """Checks that a text is allowed in a header.

    Raises:
        HeaderError: it contains line breaks or other control characters.
    """
    if _CONTROL.search(text):
        raise HeaderError(f"the {name} contains a line break or another control character: send one line")


def require_ours(content: bytes, names: Sequence[str]) -> None:
    """Checks the bytes of a message before they are sent.

    Args:
        content: the message.
        names: names of the headers that were written, in order.

    Raises:
        HeaderError: its headers are different, one of them contains an encoded word that was not written
            here, or mail does not allow a byte or a line of the message.
    """
    head, _, _ = content.partition(b"\r\n\r\n")
    found = [line.partition(b":")[0] for line in re.split(rb"\r\n(?![ \t])", head)]
    if found != [name.encode() for name in names]:
        raise HeaderError("the message contains a header that was not written for it")
    if b"=?" in _OUR_WORD.sub(b"", head):
        raise HeaderError("a header of the message contains an encoded word that was not written for it")
    if _UNSAFE_BYTE.search(content):
        raise HeaderError("the message contains a control character, or a line end other than CR LF")
    if _BAD_LINE.search(content):
        raise HeaderError(f"a line of the message is longer than {MAX_LINE} characters")


def _require_literal(name: str, token: str) -> None:
    if not _PLAIN.fullmatch(token) or not _is_writable(token, _FOLD.split(token)):
        raise HeaderError(f"the {name} contains what cannot be written into a header line unchanged")


def _is_writable(text: str, tokens: Sequence[str]) -> bool:
    # Mail programs read `=?` as the start of an encoded word, also within quotes.
    return "=?" not in text and max(map(len, tokens)) <= _MAX_TOKEN


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _words(text: str, taken: int) -> Iterator[str]:
    """The text as encoded words; `taken` is the number of characters before the first one on its line."""
    room, chunk = _bytes_in(_WORD_LINE - taken), bytearray()
    for character in text:
        encoded = character.encode()
        if len(chunk) + len(encoded) > room:
            yield _word(bytes(chunk))
            room, chunk = _bytes_in(_MAX_WORD), bytearray()
        chunk += encoded
    yield _word(bytes(chunk))


def _bytes_in(characters: int) -> int:
    return (min(characters, _MAX_WORD) - len(_WORD_BEGIN) - len(_WORD_END)) // 4 * 3


def _word(chunk: bytes) -> str:
    return f"{_WORD_BEGIN}{base64.b64encode(chunk).decode()}{_WORD_END}"


def _folded(name: str, tokens: Sequence[str], most: int) -> str:
    # The first token stays beside the name: a first line without a value is obsolete (RFC 5322, 4.2).
    lines, line = [], f"{name}: {tokens[0]}"
    for token in tokens[1:]:
        if len(line) + 1 + len(token) > most:
            lines.append(line)
            line = ""
        line += f" {token}"
    return "\r\n".join([*lines, line]) + "\r\n"
