"""Masking: hides sensitive values in errors, logs and listings, also where other systems repeat them."""

import binascii
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import islice
from typing import Any, Final

from waybill_contracts.events import Event
from waybill_contracts.privacy.mapped_text import MappedText, normalize
from waybill_contracts.privacy.protocol_words import PROTOCOL_WORDS

MASK: Final = "***"
#: Shorter values are not hidden: they are part of many words, and reveal little.
MIN_TEXT_LENGTH, MIN_NUMBER_LENGTH, MIN_LINE_LENGTH = 4, 5, 8
#: Shorter values are hidden only as whole words: they may be part of unrelated words.
MIN_PART_LENGTH: Final = 8
#: From this code point on, a character is a word or syllable, and words are not separated by spaces.
_DENSE: Final = "\u2e80"
MIN_DENSE_LENGTH: Final = 2
#: The start of a word: after a character other than a letter or digit, or after an escape that ends with one
#: (URLs, quoted printable, JSON, Python).
_BEGIN: Final = (
    r"(?:(?<![^\W_])|(?<=[%=][0-9a-f]{2})|(?<=\\[abfnrtv])|(?<=\\x[0-9a-f]{2})|(?<=\\u[0-9a-f]{4}))"
)
_END: Final = r"(?![^\W_])"
#: Matched only at the start of a word: otherwise a long text without an address takes quadratic time.
_ADDRESS: Final = re.compile(
    r"(?<![\w.+%-])(?P<first>[\w.+%-])(?:[\w.+-]|%(?!40))*+"
    r"(?P<at>@|%40|\\u0040|\\x40|&\#64;|&\#x40;|&commat;)(?P<domain>[\w-]+(?:\.[\w-]+)+)",
    re.IGNORECASE,
)
_AT: Final = re.compile(r"@|40|64|commat", re.IGNORECASE)
#: What may be base64 of a text.
_BASE64: Final = re.compile(r"([A-Za-z0-9+/_-]{10,})={0,2}")
_URL_SAFE: Final = str.maketrans("-_", "+/")
_BEGINNING_ESCAPES: Final = "\\%&="
#: Removed before a cut. Of many cuts in a text only the first ones are checked.
_CUT: Final = " .\"'"
_ELLIPSIS: Final = re.compile(r"\.{3}")
MOST_CUTS: Final = 20
#: Of many places before a cut where a value may begin, only the first ones are checked.
MOST_BEGINNINGS: Final = 100


def mask_addresses(text: str) -> str:
    """Masks mail addresses in a text; the first letter and the domain stay: `a***@example.com`."""
    return _ADDRESS.sub(_masked_address, text) if _AT.search(text) else text


def _masked_address(address: re.Match[str]) -> str:
    first, at, domain = address.group("first", "at", "domain")
    return f"{first}{MASK}{at}{domain}"


class Mask:
    """Hides values in texts, whatever escapes and spelling the texts use.

    Values and texts are compared as `waybill_contracts.privacy.mapped_text` decodes and normalizes them, and
    in base64. Values of less than `MIN_PART_LENGTH` characters are hidden only as whole words, and words of
    protocols are not hidden.

    Args:
        values: JSON; each text and number in it is hidden, and each line of a text.
    """

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self._values = values

    @classmethod
    def of(cls, event: Event) -> "Mask":
        """Hides the sensitive fields of an event."""
        return cls([getattr(event, name) for name in event.sensitive_fields()])

    def text(self, text: str) -> str:
        """Returns the text without the values."""
        if not self._forms:
            return text
        places: set[tuple[int, int]] = set()
        for decoded in MappedText(text).decodings():
            places.update(decoded.original(*place) for place in self._in_base64(decoded.text))
            plain = decoded.normalized()
            places.update(plain.original(*place) for place in self._places(plain.text))
        return _hidden(text, sorted(places)) if places else text

    def error(self, text: str) -> str:
        """Returns a text of another system without the values and with all mail addresses masked."""
        return mask_addresses(self.text(text))

    def json(self, value: Any) -> Any:
        """Returns a JSON value without the values in any of its texts."""
        return _each(value, self.text)

    def errors(self, value: Any) -> Any:
        """Returns a JSON value of another system with each text as `error` returns it."""
        return _each(value, self.error)

    @cached_property
    def _forms(self) -> frozenset[str]:
        leaves = (leaf for value in self._values for leaf in _leaves(value))
        return frozenset(form for leaf in leaves for form in _forms(leaf))

    def _places(self, plain: str) -> Iterator[tuple[int, int]]:
        # The longest first: a value is hidden rather than a part of it. The pattern has only forms that
        # occur: one of all lines of a long mail takes a second to compile.
        there = sorted((form for form in self._forms if form in plain), key=len, reverse=True)
        if there:
            yield from (match.span() for match in re.finditer("|".join(map(_pattern, there)), plain))
        yield from self._cut_places(plain)

    def _cut_places(self, plain: str) -> Iterator[tuple[int, int]]:
        """Where a text was cut within a value, at the end of the text or before an ellipsis."""
        cuts = islice((match.start() for match in _ELLIPSIS.finditer(plain)), MOST_CUTS)
        for end in (len(plain[:cut].rstrip(_CUT)) for cut in (len(plain), *cuts)):
            for form in self._forms:
                if len(form) > MIN_PART_LENGTH:
                    beginnings = _found(plain, form[:MIN_PART_LENGTH], max(0, end - len(form)), end)
                    # It may occur more than once: the first from which all up to the cut is of the value.
                    if (start := next((at for at in beginnings if form.startswith(plain[at:end])), -1)) >= 0:
                        yield start, end

    def _in_base64(self, text: str) -> Iterator[tuple[int, int]]:
        for match in _BASE64.finditer(text):
            plain = normalize(_from_base64(match[1]))
            if plain and any(True for _ in self._places(plain)):
                yield match.span()


def _found(text: str, part: str, start: int, end: int) -> Iterator[int]:
    """Where a part occurs in a text; of very many places the first ones."""
    for _ in range(MOST_BEGINNINGS):
        if (start := text.find(part, start, end)) < 0:
            return
        yield start
        start += 1


#: Hides nothing.
NO_MASK: Final = Mask()


def _each(value: Any, hide: Callable[[str], str]) -> Any:
    match value:
        case str():
            return hide(value)
        case dict():
            return {name: _each(each, hide) for name, each in value.items()}
        case list() | tuple():
            return [_each(each, hide) for each in value]
        case _:
            return value


def _hidden(text: str, places: Iterable[tuple[int, int]]) -> str:
    """The text with the mask at these places, which are sorted and may overlap."""
    parts: list[str] = []
    done = 0
    for start, end in places:
        if start >= done:
            parts += (text[done:start], MASK)
        done = max(done, end)
    return "".join([*parts, text[done:]])


def _leaves(value: Any) -> Iterator[str]:
    match value:
        case None | bool():
            return
        case dict():
            for each in value.values():
                yield from _leaves(each)
        case list() | tuple():
            for each in value:
                yield from _leaves(each)
        case str():
            yield value
        case _:
            if len(number := str(value)) >= MIN_NUMBER_LENGTH:
                yield number


def _forms(text: str) -> Iterator[str]:
    """The forms of a value that are searched for."""
    for decoded in MappedText(text).decodings():
        yield from _form(decoded.text)
        if "\n" in decoded.text or "\r" in decoded.text:
            for line in decoded.text.splitlines():
                yield from _form(line, MIN_LINE_LENGTH)
    local, at, _ = text.partition("@")
    if at and " " not in text:
        yield from _form(local, MIN_TEXT_LENGTH + 1)


def _form(text: str, at_least: int = MIN_TEXT_LENGTH) -> Iterator[str]:
    form = normalize(text)
    # Its last character may have been read as the start of an escape, together with the text after it.
    for each in {form, form.rstrip(_BEGINNING_ESCAPES + " ")}:
        is_long = len(each) >= at_least or (len(each) >= MIN_DENSE_LENGTH and _is_dense(each))
        if is_long and each not in PROTOCOL_WORDS:
            yield each


def _is_dense(form: str) -> bool:
    return not form.isascii() and max(form) >= _DENSE


def _pattern(form: str) -> str:
    escaped = re.escape(form)
    if len(form) >= MIN_PART_LENGTH or _is_dense(form):
        return escaped
    return f"{_BEGIN if form[0].isalnum() else ''}{escaped}{_END if form[-1].isalnum() else ''}"


def _from_base64(text: str) -> str:
    """The decoded text; empty if the bytes are no text."""
    encoded = text.translate(_URL_SAFE)
    # Its end may be cut off, or be part of what follows.
    encoded = encoded[: len(encoded) - (len(encoded) % 4 == 1)]
    try:
        decoded = binascii.a2b_base64(encoded + "=" * (-len(encoded) % 4))
    except binascii.Error:
        return ""
    try:
        return decoded.decode()
    except UnicodeDecodeError as error:
        return decoded[: error.start].decode() if error.start >= len(decoded) - 3 else ""
