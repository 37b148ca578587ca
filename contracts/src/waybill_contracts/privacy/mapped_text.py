r"""Text that may be written in many ways: its escapes decoded, its characters normalized.

`MappedText.decodings` decodes the escapes of URLs, HTML, JSON, Python and quoted printable. `normalize`
removes what differs between spellings of one text: case, accents, kinds and numbers of spaces. Each
`MappedText` knows where in the original its characters are, so that what is found in it can be hidden there.
"""

import html
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

#: Layers of escapes that are decoded: JSON in JSON in a log line, a URL that was quoted twice, and one more.
MAX_LAYERS: Final = 4
#: Bytes as two digits after a sign: one byte of ASCII, or a run of others, which is UTF-8 or else Latin-1.
_BYTES: Final = "|".join(rf"{sign}[0-7][0-9a-f]|(?:{sign}[89a-f][0-9a-f])+" for sign in ("%", r"\\x"))
_ESCAPE: Final = re.compile(
    # Most characters begin no escape: this is checked once, not by each alternative.
    r"(?=[\\%&])(?:"
    rf"(?P<bytes>{_BYTES})"
    r"|(?P<octal>(?:\\[0-3][0-7]{2})+)"
    r"|(?-i:\\U)(?P<long>[0-9a-f]{8})|\\u\{(?P<braced>[0-9a-f]{1,6})\}"
    r"|(?P<utf16>\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|\\u[0-9a-f]{4})"
    r"|\\(?P<simple>[abfnrtv\"'\\/])"
    r"|(?P<entity>&(?:\#[0-9]{1,7}|\#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});))",
    re.IGNORECASE,
)
#: What every escape begins with.
_SIGNS: Final = ("\\", "%", "&")
#: A pattern of its own: `=Ada` is more often the beginning of a value than a byte. A line may break between
#: the bytes of a character.
_QUOTED_PRINTABLE: Final = re.compile(
    r"(?P<bytes>=[0-7][0-9a-f]|(?:=[89a-f][0-9a-f](?:=\r?\n)?)+)|(?P<soft_break>=\r?\n)", re.IGNORECASE
)
_SIMPLE: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_HEX_BYTE, _HEX_UNIT = (re.compile(rf"[0-9a-f]{{{digits}}}", re.IGNORECASE) for digits in (2, 4))
_WORD: Final = re.compile(r"\S+")
_NO_ASCII: Final = re.compile(r"[^\x00-\x7f]")
#: Written for a space: `+` in forms, `_` in mail headers and identifiers.
_WRITTEN_SPACES: Final = "+_"
#: Categories of invisible characters: accents on their own, and those that control the layout.
_INVISIBLE: Final = frozenset({"Mn", "Me", "Cf"})


class MappedText:
    """A text with a map of its positions to those in the original that it was made from.

    Positions are mapped when they are asked for: most texts contain nothing that must be hidden.

    Args:
        text: the text.
        source: what it was made from; None: it is the original.
        starts_in: returns where in the source each character of the text begins, and the end of the text.
    """

    __slots__ = ("_source", "_starts", "_starts_in", "text")

    def __init__(
        self,
        text: str,
        source: "MappedText | None" = None,
        starts_in: Callable[[str], list[int]] = lambda source: [*range(len(source) + 1)],
    ) -> None:
        self.text = text
        self._source = source
        self._starts_in = starts_in
        self._starts: list[int] = []

    def decodings(self) -> "Iterator[MappedText]":
        """What the text may mean.

        The text itself, then with one more layer of escapes decoded each time, as long as there are any; and
        all of this again for what the text is in quoted printable, if it may be that.
        """
        printed = self.decoded(_QUOTED_PRINTABLE) if "=" in self.text else self
        for layer in (self,) if printed is self else (self, printed):
            yield from _layers(layer)

    def normalized(self) -> "MappedText":
        """The text as `normalize` returns it."""
        return MappedText(normalize(self.text), self, _starts_of_normalized)

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Returns where in the original the characters from `start` to before `end` are."""
        if self._source is None:
            return start, end
        starts = self._starts = self._starts or self._starts_in(self._source.text)
        # What one escape was decoded to is hidden as a whole.
        while end < len(self.text) and starts[end] == starts[end - 1]:
            end += 1
        return self._source.original(starts[start], starts[end])

    def decoded(self, pattern: re.Pattern[str]) -> "MappedText":
        """The text with these escapes decoded; the text itself if it has none."""
        text = pattern.sub(_meaning, self.text)
        return self if text == self.text else MappedText(text, self, partial(_starts, pattern, _meaning))


def _layers(layer: MappedText) -> Iterator[MappedText]:
    yield layer
    for _ in range(MAX_LAYERS):
        if not any(sign in layer.text for sign in _SIGNS):
            return
        before, layer = layer, layer.decoded(_ESCAPE)
        if layer is before:
            return
        yield layer


def normalize(text: str) -> str:
    """Returns the text in the one form of all its spellings, whatever its case, accents and spaces."""
    return " ".join(text.translate(_NORMAL).split())


def _starts(pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str], source: str) -> list[int]:
    """Where each character of `pattern.sub(replace, source)`, and its end, begins in the source."""
    starts: list[int] = []
    done = 0
    for match in pattern.finditer(source):
        starts += range(done, match.start())
        starts += [match.start()] * len(replace(match))
        done = match.end()
    starts += range(done, len(source) + 1)
    return starts


def _starts_of_normalized(source: str) -> list[int]:
    # ASCII stays as long as it is: only other characters need a look.
    letters = _starts(_NO_ASCII, lambda match: _NORMAL[ord(match[0])], source)
    starts: list[int] = []
    for word in _WORD.finditer(source.translate(_NORMAL)):
        # With what follows the word: a space, or the end.
        starts += letters[word.start() : word.end() + 1]
    return starts


def _meaning(match: re.Match[str]) -> str:
    """What an escape stands for."""
    return _MEANINGS[match.lastgroup or ""](match[match.lastgroup or 0], match[0])


def _from_bytes(encoded: bytes) -> str:
    try:
        return encoded.decode()
    except UnicodeDecodeError:
        return encoded.decode("latin-1")


def _from_number(digits: str, text: str) -> str:
    number = int(digits, 16)
    return chr(number) if number <= sys.maxunicode else text


#: By the name of the escape: what it stands for, given its named part and all of it.
_MEANINGS: Final[Mapping[str, Callable[[str, str], str]]] = {
    "bytes": lambda part, _: _from_bytes(bytes.fromhex("".join(_HEX_BYTE.findall(part)))),
    "octal": lambda part, _: _from_bytes(bytes(int(each, 8) for each in part.split("\\")[1:])),
    "utf16": lambda part, _: bytes.fromhex("".join(_HEX_UNIT.findall(part))).decode(
        "utf-16-be", "surrogatepass"
    ),
    "long": _from_number,
    "braced": _from_number,
    "simple": lambda part, _: _SIMPLE.get(part, part),
    "soft_break": lambda _, __: "",
    "entity": lambda part, _: html.unescape(part),
}


class _NormalCharacters(dict[int, str]):
    """Character number to what the character is normalized to; filled when needed, as most come again."""

    #: More than a few alphabets together: more characters than these are no text.
    MAX_CHARACTERS: Final = 10_000

    def __missing__(self, number: int) -> str:
        if len(self) > self.MAX_CHARACTERS:
            self.clear()
        character = chr(number)
        visible = (
            each
            for each in unicodedata.normalize("NFKD", character)
            if unicodedata.category(each) not in _INVISIBLE
        )
        self[number] = made = " " if character in _WRITTEN_SPACES else "".join(visible).casefold()
        return made


_NORMAL: Final = _NormalCharacters()
