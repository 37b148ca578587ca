"""Parts of paths: what an application gives must not name another path."""

from urllib.parse import quote
from uuid import UUID


def id_in(given: str | UUID, what: str) -> UUID:
    """An id that an application gives.

    Args:
        given: as the gateway writes it.
        what: it is the id of.

    Raises:
        ValueError: it is no id.
    """
    if isinstance(given, UUID):
        return given
    try:
        return UUID(given)
    except (ValueError, AttributeError, TypeError):
        raise ValueError(
            f"{given!r} is no {what} id: it is like 01a20797-6d09-71fe-b759-803ec3a459ee"
        ) from None


def segment(name: str) -> str:
    """A name as a part of a path.

    Raises:
        ValueError: it is empty, or names another path.
    """
    if name in {"", ".", ".."}:
        raise ValueError(f"{name!r} is no name")
    return quote(name, safe="")
