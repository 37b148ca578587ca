"""Search by a prefix of an id, as a range of the index on the ids."""

from typing import Final

from sqlalchemy import ColumnElement, and_, false

#: Hexadecimal digits between the hyphens of an id: tasks and schedules (UUID), groups of dead letters, keys.
UUID_DIGITS: Final = (8, 4, 4, 4, 12)
GROUP_DIGITS: Final = (32,)
KEY_DIGITS: Final = (16,)


def begins_with(
    column: ColumnElement[str], beginning: str, digits: tuple[int, ...] = UUID_DIGITS
) -> ColumnElement[bool]:
    """Condition that ids begin with some digits.

    Both ends of the range are complete ids: so both databases agree on the order, whatever their collation
    does with hyphens.

    Args:
        column: indexed column of ids.
        beginning: hexadecimal digits, of either case; hyphens are ignored.
        digits: digits between the hyphens of such an id.
    """
    given = beginning.replace("-", "").lower()
    if len(given) > sum(digits):
        return false()
    first, last = (_laid_out(given.ljust(sum(digits), filling), digits) for filling in "0f")
    # Ids that callers chose themselves may lie in the range without the prefix.
    return and_(column.between(first, last), column.startswith(_laid_out(given, digits), autoescape=True))


def _laid_out(text: str, digits: tuple[int, ...]) -> str:
    parts, place = [], 0
    for size in digits:
        parts.append(text[place : place + size])
        place += size
    return "-".join(filter(None, parts))
