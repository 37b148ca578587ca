"""Places in the product's code that the matrix changes from outside, by name."""

from pkgutil import resolve_name
from typing import Any


def follow(place: str) -> Any:
    """What is at a place.

    Raises:
        AttributeError: it is not there any more, and the crash matrix must follow.
    """
    owner, name = owner_of(place)
    return getattr(owner, name)


def owner_of(place: str) -> tuple[Any, str]:
    """The module or class that has the place, and its name there.

    Raises:
        AttributeError: it is not there any more, and the crash matrix must follow.
    """
    module_name, _, path = place.partition(":")
    owner_path, _, name = path.rpartition(".")
    owner = resolve_name(f"{module_name}:{owner_path}")
    if not hasattr(owner, name):
        raise AttributeError(f"{place} is not there any more: the crash matrix must follow")
    return owner, name
