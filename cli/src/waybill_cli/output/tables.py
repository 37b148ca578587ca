"""Tables that fit a terminal: ids are shortened while they stay unique, long text gets lines of its own.

Only ids are ever shortened, and every command accepts the beginning of an id.
"""

from collections.abc import Callable, Sequence
from typing import Final

#: Columns of ids, and the shortest form of each: ids of tasks and schedules begin with their millisecond, and
#: some random digits must follow; other ids are random from the first digit on.
_TIMED, _RANDOM = 18, 8
_SHORTEST: Final = {
    "ID": _TIMED,
    "TASK": _TIMED,
    "CANNOT BE PLACED": _TIMED,
    "SUBJECT": _TIMED,
    "GROUP": _RANDOM,
}
#: Columns that move to a line of their own if a table is too wide, in this order; clear without their name.
_LONG: Final = (
    "ERROR",
    "WHY NOT",
    "WHY",
    "BECAUSE",
    "REMARK",
    "NOTE",
    "RESULT OR ERROR",
    "DETAILS",
    "SUBTASKS",
    "SCOPES",
    "KINDS",
    "SERVICES",
    "LAST 24 H",
    "ABOUT",
    "TASK",
    "SUBJECT",
    "SAMPLE",
    "ID",
    "WHEN",
)
_GAP, _INDENT = "  ", "    "
_NOTHING: Final = "-"

Wrap = Callable[[str, int], list[str]]
Row = Sequence[str]


def fitted(columns: Row, rows: Sequence[Row], width: int) -> list[list[str]]:
    """Lays a table out within a width: heading first, each line as padded cells.

    Args:
        columns: names.
        rows: cells.
        width: of the terminal.
    """
    every = [list(columns), *map(list, rows)]
    beside, below = list(range(len(columns))), list[int]()
    if _width(every, beside) > width:
        short = [list(columns), *_with_short_ids(columns, rows)]
        beside, below = _split(columns, short, width)
        # Ids stay whole where there is room after all.
        keeps = set(beside) if below and _width(every, beside) <= width else set[int]()
        every = [
            [row[place] if place in keeps else less[place] for place in range(len(columns))]
            for row, less in zip(every, short, strict=True)
        ]
    lines = []
    for number, row in enumerate(every):
        lines.append(_padded(every, row, beside))
        if text := _below(columns, row, below, is_heading=not number):
            lines += [[_INDENT, part] for part in wrapped(text, width - len(_INDENT))]
    return lines


def whole(columns: Row, rows: Sequence[Row]) -> list[list[str]]:
    """Lays a table out without a width, for pipes."""
    every = [list(columns), *map(list, rows)]
    return [_padded(every, row, range(len(columns))) for row in every]


def wrapped(text: str, width: int) -> list[str]:
    """A text as lines of at most `width` columns, broken between words where possible."""
    # Imported here, because they are slow to import and help must not wait for them.
    from rich.console import Console  # noqa: PLC0415 - see the comment
    from rich.text import Text  # noqa: PLC0415

    console = Console(width=max(width, 1), force_terminal=False, no_color=True)
    return [line.plain.rstrip() for line in Text(text).wrap(console, max(width, 1))] or [""]


def _size(text: str) -> int:
    """Number of columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415 - slow to import

    return cell_len(text)


def _split(columns: Row, every: Sequence[Row], width: int) -> tuple[list[int], list[int]]:
    """Columns beside each other, and columns that move below: as few as possible."""
    places = {name: place for place, name in enumerate(columns)}
    movable = [places[name] for name in _LONG if places.get(name)]
    movable += [place for place in range(len(columns) - 1, 0, -1) if place not in movable]
    below: list[int] = []
    while movable and _width(every, set(range(len(columns))) - set(below)) > width:
        below.append(movable.pop(0))
    return [place for place in range(len(columns)) if place not in below], sorted(below)


def _below(columns: Row, row: Row, below: Sequence[int], *, is_heading: bool) -> str:
    """The line below a row; cells that are unclear by themselves get their column's name."""
    if is_heading:
        return _GAP.join(columns[place] for place in below if columns[place] in _LONG)
    return _GAP.join(
        row[place] if columns[place] in _LONG else f"{columns[place].lower()} {row[place]}"
        for place in below
        if row[place] != _NOTHING
    )


def _width(every: Sequence[Row], places: Sequence[int] | set[int] | range) -> int:
    return sum(max(_size(row[place]) for row in every) for place in places) + len(_GAP) * (len(places) - 1)


def _padded(every: Sequence[Row], row: Row, places: Sequence[int] | range) -> list[str]:
    cells = []
    for place in places:
        cells += [row[place], " " * (max(_size(each[place]) for each in every) - _size(row[place])), _GAP]
    return cells


def _with_short_ids(columns: Row, rows: Sequence[Row]) -> list[list[str]]:
    by_column = [
        _shortened([row[place] for row in rows], _SHORTEST[name])
        if name in _SHORTEST
        else [row[place] for row in rows]
        for place, name in enumerate(columns)
    ]
    return [list(row) for row in zip(*by_column, strict=True)]


def _shortened(ids: Sequence[str], least: int) -> list[str]:
    """Ids cut to one length at which they are still unique."""
    different = set(ids) - {_NOTHING}
    longest = max(map(len, different), default=0)
    size = least
    while size < longest and len({each[:size] for each in different}) < len(different):
        size += 1
    return [each if each == _NOTHING else each[:size].rstrip("-") for each in ids]
