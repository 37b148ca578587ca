"""What is printed: tables for people, one JSON document a line for programs, remarks on stderr."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from waybill_cli.output.printable import printable
from waybill_cli.output.tables import fitted, whole, wrapped

if TYPE_CHECKING:
    from waybill_cli.output.progress import Bar

#: Colours of words that tell how a thing is doing; everything else is plain.
COLOURS: Final = {
    **dict.fromkeys(("completed", "succeeded", "recovered", "resolved", "valid", "yes"), "green"),
    **dict.fromkeys(("failed", "dead", "regressed", "halted", "unfixable", "no"), "red"),
    **dict.fromkeys(("retrying", "returned", "upcastable", "paused", "unknown", "missing"), "yellow"),
    **dict.fromkeys(("running", "redriving"), "cyan"),
}


class Output:
    """One run's way to its reader.

    Args:
        as_json: for a program.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        #: Only on a terminal: a pipe gets whole columns without colour, however wide they are.
        self.is_terminal = sys.stdout.isatty() and not as_json
        self._bar: Bar | None = None

    @property
    def width(self) -> int | None:
        """Columns of the terminal (`COLUMNS` counts before what it says); None: there is no end."""
        return shutil.get_terminal_size().columns if self.is_terminal else None

    def document(self, value: Any) -> None:
        """One JSON document on a line."""
        self._print(json.dumps(value, ensure_ascii=False, separators=(",", ":")))

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
        self._print(printable(text))

    def block(self, text: str) -> None:
        """Some lines, as they are."""
        self._print(printable(text, lines=True))

    def remark(self, text: str) -> None:
        """What is said beside the output, so that a pipe never sees it."""
        told = printable(text)
        if sys.stderr.isatty():
            told = "\n".join(wrapped(told, shutil.get_terminal_size().columns))
        self._print(told, err=True)

    def fields(self, pairs: Iterable[tuple[str, Any]]) -> None:
        """Names and values, one a line; what is None is left out."""
        shown = [(name, _cell(value)) for name, value in pairs if value is not None]
        room = max((len(name) for name, _ in shown), default=0) + 2
        for name, value in shown:
            lines = [value] if self.width is None else wrapped(value, self.width - room)
            self._print(name.ljust(room) + self._styled(lines[0]))
            for line in lines[1:]:
                self._print(" " * room + line)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """A table; on a terminal it fits its width, and nothing is cut but ids."""
        cells = [[_cell(value) for value in row] for row in rows]
        lines = whole(columns, cells) if self.width is None else fitted(columns, cells, self.width)
        for line in lines:
            self._print("".join(map(self._styled, line)).rstrip())

    @contextmanager
    def bar(self, doing: str, total: int | None) -> Iterator[Callable[[int, str], None]]:
        """Shows how far long work is, on stderr: a bar on a terminal, nothing in a log.

        What is printed within the block stands above the bar, on its own stream.

        Args:
            doing: what takes long.
            total: units of it; None: not known.

        Yields:
            Takes how many units are done by now, and a word on how it goes.
        """
        if not sys.stderr.isatty():
            yield lambda _done, _word: None
            return
        # Not above: help must be there at once.
        from waybill_cli.output.progress import Bar  # noqa: PLC0415 - as said

        with Bar(doing, total) as shown:
            self._bar = shown
            try:
                yield shown.tell
            finally:
                self._bar = None

    def _print(self, text: str, *, err: bool = False) -> None:
        if self._bar is None:
            click.echo(text, err=err)
            return
        with self._bar.away():
            click.echo(text, err=err)

    def _styled(self, text: str) -> str:
        # https://no-color.org: any value but none at all.
        if not self.is_terminal or text not in COLOURS or os.environ.get("NO_COLOR"):
            return text
        return click.style(text, fg=COLOURS[text])


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list):
        return printable(json.dumps(value, ensure_ascii=False))
    return printable(str(value))
