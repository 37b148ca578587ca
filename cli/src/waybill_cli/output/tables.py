"""Tables that fit a terminal: ids shortened as far as they stay different, long text on lines of its own.

Nothing is ever cut but ids, and their beginning is enough for every command.
"""

from collections.abc import Callable, Sequence
from typing import Final

#: Columns with ids, and how much of one is shown at the least: of the ids of tasks and schedules as much as
#: tells the millisecond, and something of what is random; the others are random from the first digit on.
_TIMED, _RANDOM = 18, 8
_SHORTEST: Final = {
    "ID": _TIMED,
    "TASK": _TIMED,
    "CANNOT BE PLACED": _TIMED,
    "SUBJECT": _TIMED,
    "GROUP": _RANDOM,
}
#: What goes to a line of its own where a table is too wide, in this order; it is understood without its name.
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
    """The lines of a table, its heading first; each line as its cells, padded.

    Args:
        columns: their names.
        rows: their cells.
        width: of the terminal.
    """
    every = [list(columns), *map(list, rows)]
    beside, below = list(range(len(columns))), list[int]()
    if _width(every, beside) > width:
        short = [list(columns), *_with_short_ids(columns, rows)]
        beside, below = _split(columns, short, width)
        # Ids that have room all the same stay whole.
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
    """The same without an end to the lines: for pipes, and whatever reads them."""
    every = [list(columns), *map(list, rows)]
    return [_padded(every, row, range(len(columns))) for row in every]


def wrapped(text: str, width: int) -> list[str]:
    """A text as lines of at most so many columns, broken between words where there are any."""
    # Not above: help must be there at once.
    from rich.console import Console  # noqa: PLC0415 - as said
    from rich.text import Text  # noqa: PLC0415

    console = Console(width=max(width, 1), force_terminal=False, no_color=True)
    return [line.plain.rstrip() for line in Text(text).wrap(console, max(width, 1))] or [""]


def _size(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415 - as above

    return cell_len(text)


def _split(columns: Row, every: Sequence[Row], width: int) -> tuple[list[int], list[int]]:
    """The columns that stand beside each other, and those that go below: no more than have to."""
    places = {name: place for place, name in enumerate(columns)}
    movable = [places[name] for name in _LONG if places.get(name)]
    movable += [place for place in range(len(columns) - 1, 0, -1) if place not in movable]
    below: list[int] = []
    while movable and _width(every, set(range(len(columns))) - set(below)) > width:
        below.append(movable.pop(0))
    return [place for place in range(len(columns)) if place not in below], sorted(below)


def _below(columns: Row, row: Row, below: Sequence[int], *, is_heading: bool) -> str:
    """What stands below a row; facts that are not understood by themselves have their names."""
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
    """Ids cut to one length at which different ones are still different."""
    different = set(ids) - {_NOTHING}
    longest = max(map(len, different), default=0)
    size = least
    while size < longest and len({each[:size] for each in different}) < len(different):
        size += 1
    return [each if each == _NOTHING else each[:size].rstrip("-") for each in ids]
