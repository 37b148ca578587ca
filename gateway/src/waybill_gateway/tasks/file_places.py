"""Where values are in a JSON document, as JSON pointers (RFC 6901)."""

from collections.abc import Collection, Iterator
from typing import Any


def places_of(value: Any, wanted: Collection[str], place: str = "") -> Iterator[str]:
    """The pointers to all texts in a JSON value that are one of the wanted, in the order of the document.

    Example: `places_of({"a": ["x", "y"]}, {"y"})` yields `/a/1`.
    """
    match value:
        case str():
            if value in wanted:
                yield place
        case dict():
            for name, each in value.items():
                yield from places_of(each, wanted, f"{place}/{name.replace('~', '~0').replace('/', '~1')}")
        case list():
            for index, each in enumerate(value):
                yield from places_of(each, wanted, f"{place}/{index}")
