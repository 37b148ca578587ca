"""Masking: what is sensitive does not show in errors, logs and lists, though others may repeat it to us."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote

from contracts.events import TaskEvent

MASK: Final = "***"
#: Shorter values are not looked for: they stand in half of all words, and tell little.
MIN_TEXT_LENGTH, MIN_NUMBER_LENGTH, MIN_LINE_LENGTH = 4, 5, 8
#: Shorter ones are hidden as whole words alone: as parts they stand in many words that have nothing of them.
MIN_PART_LENGTH: Final = 8
#: Where a word begins: behind what is no letter or digit, or behind an escape that ends with one (of URLs,
#: quoted printable, JSON, Python).
_BEGIN: Final = (
    r"(?:(?<![^\W_])|(?<=[%=][0-9a-f]{2})|(?<=\\[abfnrtv])|(?<=\\x[0-9a-f]{2})|(?<=\\u[0-9a-f]{4}))"
)
_END: Final = r"(?![^\W_])"
#: It is tried only where a word begins: else a long text without any address costs time by its square.
_ADDRESS: Final = re.compile(
    r"(?<![\w.+%-])(?P<first>[\w.+%-])(?:[\w.+-]|%(?!40))*+(?P<at>@|%40)(?P<domain>[\w-]+(?:\.[\w-]+)+)"
)


def mask_addresses(text: str) -> str:
    """A text whose mail addresses show their first letter and their domain: `a***@example.com`."""
    return _ADDRESS.sub(rf"\g<first>{MASK}\g<at>\g<domain>", text) if "@" in text or "%40" in text else text


class Mask:
    """Hides values wherever they stand in a text, as they are or as JSON, URLs and Python write them.

    Those of less than `MIN_PART_LENGTH` characters are hidden as whole words alone.

    Args:
        values: JSON; every text and number in it is hidden, each line of a text by itself too.
    """

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self._values = values

    @classmethod
    def of(cls, event: TaskEvent) -> "Mask":
        """Hides what is in the sensitive fields of an event."""
        return cls([getattr(event, name) for name in event.sensitive_fields()])

    def text(self, text: str) -> str:
        """The text without the values."""
        lower = text.lower()
        # The longest first: of a value and a part of it the value is hidden. A pattern of what stands there,
        # not of all: that of a long mail takes a second to compile.
        there = sorted((form for form in self._forms if form in lower), key=len, reverse=True)
        return re.sub("|".join(map(_pattern, there)), MASK, text, flags=re.IGNORECASE) if there else text

    def error(self, text: str) -> str:
        """The same of what others have said, in which any mail address is masked as well."""
        return mask_addresses(self.text(text))

    def json(self, value: Any) -> Any:
        """A value that is JSON without the values, wherever they stand in it."""
        return _each(value, self.text)

    def errors(self, value: Any) -> Any:
        """The same of what others have said, as `error`."""
        return _each(value, self.error)

    @cached_property
    def _forms(self) -> frozenset[str]:
        leaves = (leaf for value in self._values for leaf in _leaves(value))
        return frozenset(form.lower() for leaf in leaves for form in _forms(leaf))


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
            if len(text := value.strip()) >= MIN_TEXT_LENGTH:
                yield text
        case _:
            if len(number := str(value)) >= MIN_NUMBER_LENGTH:
                yield number


def _forms(text: str) -> Iterator[str]:
    """The ways in which a text may be repeated."""
    yield from _written(text)
    if "\n" in text:
        for line in text.splitlines():
            if len(stripped := line.strip()) >= MIN_LINE_LENGTH:
                yield from _written(stripped)
    local, at, _ = text.partition("@")
    if at and " " not in text and len(local) > MIN_TEXT_LENGTH:
        yield local


def _pattern(form: str) -> str:
    escaped = re.escape(form)
    if len(form) >= MIN_PART_LENGTH:
        return escaped
    return f"{_BEGIN if form[0].isalnum() else ''}{escaped}{_END if form[-1].isalnum() else ''}"


def _written(text: str) -> Iterator[str]:
    yield text
    if text.isalnum() and text.isascii():
        return
    yield json.dumps(text)[1:-1]
    yield repr(text)[1:-1]
    yield quote(text, safe="")
