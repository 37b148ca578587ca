"""Text as it is meant, whatever it was written in: escapes decoded, letters folded.

`layers` undoes the escapes of URLs, HTML, JSON, Python and quoted printable; `folded` drops what tells two
writings of one text apart: case, accents, kinds and numbers of spaces. A `Writing` does the same and knows
where in the original each character stands, so that a place found in the one can be hidden in the other.
"""

import html
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

#: Layers that are undone: JSON in JSON in a log line, or a URL that was quoted twice, and one more.
MAX_LAYERS: Final = 4
#: Bytes by two digits behind a sign: one of ASCII, or a run of others, which is UTF-8 or else Latin-1.
_BYTES: Final = "|".join(rf"{sign}[0-7][0-9a-f]|(?:{sign}[89a-f][0-9a-f])+" for sign in ("%", r"\\x"))
_ESCAPE: Final = re.compile(
    # Most characters begin none: seen at once, not by each alternative.
    r"(?=[\\%&])(?:"
    rf"(?P<bytes>{_BYTES})"
    r"|(?P<octal>(?:\\[0-3][0-7]{2})+)"
    r"|(?-i:\\U)(?P<long>[0-9a-f]{8})|\\u\{(?P<braced>[0-9a-f]{1,6})\}"
    r"|(?P<utf16>\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|\\u[0-9a-f]{4})"
    r"|\\(?P<simple>[abfnrtv\"'\\/])"
    r"|(?P<entity>&(?:\#[0-9]{1,7}|\#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});))",
    re.IGNORECASE,
)
#: By itself: `=Ada` is the beginning of a value more often than a byte. It breaks lines amid characters.
_QUOTED_PRINTABLE: Final = re.compile(
    r"(?P<bytes>=[0-7][0-9a-f]|(?:=[89a-f][0-9a-f](?:=\r?\n)?)+)|(?P<soft_break>=\r?\n)", re.IGNORECASE
)
_SIMPLE: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_HEX_BYTE, _HEX_UNIT = (re.compile(rf"[0-9a-f]{{{digits}}}", re.IGNORECASE) for digits in (2, 4))
#: What every escape begins with.
_SIGNS: Final = ("\\", "%", "&")
#: What is written for a space: `+` in forms, `_` in mail headers and identifiers.
_SPACES: Final = re.compile(r"[\s+_]+")
_NO_ASCII: Final = re.compile(r"[^\x00-\x7f]")
#: Characters that are not seen: accents by themselves, and what directs the layout.
_UNSEEN: Final = frozenset({"Mn", "Me", "Cf"})

Replace = Callable[[re.Match[str]], str]


@dataclass(frozen=True, slots=True)
class Writing:
    """A text that was made of another one.

    Attributes:
        text: what it is now.
        starts: of each character, and of the end, where in the original it begins.
    """

    text: str
    starts: range | list[int]

    @classmethod
    def of(cls, text: str) -> "Writing":
        """A text as it is."""
        return cls(text, range(len(text) + 1))

    def layers(self) -> "Iterator[Writing]":
        """As `layers`, which is faster."""
        printed = self.rewritten(_QUOTED_PRINTABLE, _meant)
        for writing in (self,) if printed is self else (self, printed):
            yield (layer := writing)
            for _ in range(MAX_LAYERS):
                before, layer = layer, layer.rewritten(_ESCAPE, _meant)
                if layer.text == before.text:
                    break
                yield layer

    def folded(self) -> "Writing":
        """As `folded`, which is faster."""
        letters = self.rewritten(_NO_ASCII, lambda match: _FOLD[ord(match[0])])
        # As long as before: what has a lower case of more letters is folded already.
        return Writing(letters.text.lower(), letters.starts).rewritten(_SPACES, lambda _: " ")

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Where in the original the characters from `start` to before `end` stand."""
        # What one escape was read as is hidden as a whole.
        while end < len(self.text) and self.starts[end] == self.starts[end - 1]:
            end += 1
        return self.starts[start], self.starts[end]

    def rewritten(self, pattern: re.Pattern[str], replace: Replace) -> "Writing":
        """With `replace` for each match of the pattern; itself where there is none."""
        parts: list[str] = []
        starts: list[int] = []
        done = 0
        for match in pattern.finditer(self.text):
            parts.append(self.text[done : match.start()])
            starts.extend(islice(self.starts, done, match.start()))
            parts.append(instead := replace(match))
            starts.extend([self.starts[match.start()]] * len(instead))
            done = match.end()
        if not parts:
            return self
        parts.append(self.text[done:])
        starts.extend(islice(self.starts, done, None))
        return Writing("".join(parts), starts)


def folded(text: str) -> str:
    """The text without what tells two writings of it apart: case, accents, kinds and numbers of spaces."""
    return " ".join(text.translate(_FOLD).split())


def layers(text: str) -> Iterator[str]:
    """What the text may mean.

    As it is, and with one layer of escapes after the other undone, as long as there are any; and the same as
    quoted printable, if it may be that.
    """
    printed = _QUOTED_PRINTABLE.sub(_meant, text) if "=" in text else text
    for writing in (text,) if printed == text else (text, printed):
        yield from _layers(writing)


def _layers(text: str) -> Iterator[str]:
    yield text
    for _ in range(MAX_LAYERS):
        if not any(sign in text for sign in _SIGNS):
            return
        before, text = text, _ESCAPE.sub(_meant, text)
        if text == before:
            return
        yield text


def _meant(match: re.Match[str]) -> str:
    text = match.group()
    return _MEANT[match.lastgroup or ""](match[match.lastgroup or 0], text)


def _from_bytes(encoded: bytes) -> str:
    try:
        return encoded.decode()
    except UnicodeDecodeError:
        return encoded.decode("latin-1")


def _from_number(digits: str, text: str) -> str:
    number = int(digits, 16)
    return chr(number) if number <= sys.maxunicode else text


#: By the name of the escape, what it stands for: of its own part and all of it.
_MEANT: Final[Mapping[str, Callable[[str, str], str]]] = {
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


class _Fold(dict[int, str]):
    """What each character is folded to, by its number; made as they come, as they mostly come again."""

    #: Of an alphabet or three; many more at once are no text.
    MOST: Final = 10_000

    def __missing__(self, number: int) -> str:
        if len(self) > self.MOST:
            self.clear()
        letter = chr(number)
        seen = (
            each
            for each in unicodedata.normalize("NFKD", letter)
            if unicodedata.category(each) not in _UNSEEN
        )
        self[number] = made = " " if letter in "+_" else "".join(seen).casefold()
        return made


_FOLD: Final = _Fold()
