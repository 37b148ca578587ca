"""Finding rows by the beginning of their ids, as a range of the index that the ids have."""

from typing import Final

from sqlalchemy import ColumnElement, and_, false

#: How many hexadecimal digits are between the hyphens of an id: of tasks and schedules (UUID), of groups of
#: dead letters, of keys.
UUID_DIGITS: Final = (8, 4, 4, 4, 12)
GROUP_DIGITS: Final = (32,)
KEY_DIGITS: Final = (16,)


def begins_with(
    column: ColumnElement[str], beginning: str, digits: tuple[int, ...] = UUID_DIGITS
) -> ColumnElement[bool]:
    """A condition that ids begin with some digits.

    Both ends of the range are whole ids: so the databases agree on the order, whatever their rules for text
    do with hyphens.

    Args:
        column: holds ids, indexed.
        beginning: hexadecimal digits, capital or not; hyphens do not matter.
        digits: how ids of this sort are made up.
    """
    given = beginning.replace("-", "").lower()
    if len(given) > sum(digits):
        return false()
    first, last = (_laid_out(given.ljust(sum(digits), filling), digits) for filling in "0f")
    # Of ids that others have chosen some might stand between the two.
    return and_(column.between(first, last), column.startswith(_laid_out(given, digits), autoescape=True))


def _laid_out(text: str, digits: tuple[int, ...]) -> str:
    parts, place = [], 0
    for size in digits:
        parts.append(text[place : place + size])
        place += size
    return "-".join(filter(None, parts))
