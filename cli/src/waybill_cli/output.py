"""What is printed: tables for people, one JSON document a line for programs, remarks on stderr."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from waybill_cli.printable import printable

#: Colours of words that tell how a thing is doing; everything else is plain.
COLOURS: Final = {
    **dict.fromkeys(("completed", "succeeded", "recovered", "resolved", "valid", "yes"), "green"),
    **dict.fromkeys(("failed", "dead", "regressed", "halted", "unfixable", "no"), "red"),
    **dict.fromkeys(("retrying", "returned", "upcastable", "paused", "unknown", "missing"), "yellow"),
    **dict.fromkeys(("running", "redriving"), "cyan"),
}

#: Columns that are copied from, so they are not folded on terminals that are wide enough for them.
_IDS: Final = frozenset({"ID", "GROUP", "TASK", "CANNOT BE PLACED"})
_WIDE: Final = 80


class Output:
    """One run's way to its reader.

    Args:
        as_json: for a program.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        #: Only on a terminal: a pipe gets whole columns without colour, however wide they are.
        self.is_terminal = sys.stdout.isatty() and not as_json

    def document(self, value: Any) -> None:
        """One JSON document on a line."""
        click.echo(json.dumps(value, ensure_ascii=False, separators=(",", ":")))

    def result(self, value: Any, text: str) -> None:
        """The same fact as a document for programs, or as a line for people."""
        if self.as_json:
            self.document(value)
        else:
            self.line(text)

    def progress(self, value: Any, text: str) -> None:
        """A step of something that goes on: a document for programs, a remark for people."""
        if self.as_json:
            self.document(value)
        else:
            self.remark(text)

    def line(self, text: str) -> None:
        """A line for people."""
        click.echo(printable(text))

    def block(self, text: str) -> None:
        """Some lines, as they are."""
        click.echo(printable(text, lines=True))

    def remark(self, text: str) -> None:
        """What is said beside the output, so that a pipe never sees it."""
        click.echo(printable(text), err=True)

    def fields(self, pairs: Iterable[tuple[str, Any]]) -> None:
        """Names and values, one a line; what is None is left out."""
        shown = [(name, value) for name, value in pairs if value is not None]
        width = max((len(name) for name, _ in shown), default=0)
        for name, value in shown:
            click.echo(f"{name.ljust(width)}  {_styled(_cell(value))}")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """A table; on a terminal it is folded into its width, so nothing is ever cut."""
        cells = [[_cell(value) for value in row] for row in rows]
        if self.is_terminal:
            _folded_table(columns, cells)
            return
        widths = [
            max(len(text) for text in column) for column in zip(*([list(columns), *cells]), strict=True)
        ]
        for row in (columns, *cells):
            padded = (text.ljust(width) for text, width in zip(row, widths, strict=True))
            click.echo("  ".join(padded).rstrip())


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list):
        return printable(json.dumps(value, ensure_ascii=False))
    return printable(str(value))


def _styled(text: str) -> str:
    return click.style(text, fg=COLOURS[text]) if text in COLOURS else text


def _folded_table(columns: Sequence[str], cells: Iterable[Sequence[str]]) -> None:
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        is_whole = name in _IDS and console.width >= _WIDE
        table.add_column(name, overflow="fold", no_wrap=is_whole)
    for row in cells:
        table.add_row(*(Text(text, style=COLOURS.get(text, "")) for text in row))
    console.print(table)
