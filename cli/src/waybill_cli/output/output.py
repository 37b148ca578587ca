"""Output: tables for people, one JSON document a line for programs, remarks on stderr."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from waybill_cli.output.printable import make_printable
from waybill_cli.output.tables import fitted, whole, wrapped

if TYPE_CHECKING:
    from waybill_cli.output.progress import Bar

#: Colours of states; all other text has none.
COLOURS: Final = {
    **dict.fromkeys(("completed", "succeeded", "recovered", "resolved", "valid", "yes"), "green"),
    **dict.fromkeys(("failed", "dead", "regressed", "halted", "unfixable", "no"), "red"),
    **dict.fromkeys(("retrying", "returned", "upcastable", "paused", "unknown", "missing"), "yellow"),
    **dict.fromkeys(("running", "redriving"), "cyan"),
}


class Output:
    """Output of one run.

    Args:
        as_json: JSON documents for a program, instead of text for people.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        #: A pipe gets whole columns without colour, however wide they are.
        self.is_terminal = sys.stdout.isatty() and not as_json
        self._bar: Bar | None = None

    @property
    def width(self) -> int | None:
        """Width of the terminal (`COLUMNS` overrides it); None: unlimited."""
        return shutil.get_terminal_size().columns if self.is_terminal else None

    def document(self, value: Any) -> None:
        """One JSON document on a line."""
        self._print(json.dumps(value, ensure_ascii=False, separators=(",", ":")))

    def result(self, value: Any, text: str) -> None:
        """A fact, as a document for programs or as a line for people."""
        if self.as_json:
            self.document(value)
        else:
            self.line(text)

    def progress(self, value: Any, text: str) -> None:
        """A step of something under way, as a document for programs or as a remark for people."""
        if self.as_json:
            self.document(value)
        else:
            self.remark(text)

    def line(self, text: str) -> None:
        """A line for people."""
        self._print(make_printable(text))

    def block(self, text: str) -> None:
        """Several lines, unchanged."""
        self._print(make_printable(text, lines=True))

    def remark(self, text: str) -> None:
        """A line for people on stderr, so that a pipe never gets it."""
        shown = make_printable(text)
        if sys.stderr.isatty():
            shown = "\n".join(wrapped(shown, shutil.get_terminal_size().columns))
        self._print(shown, err=True)

    def fields(self, pairs: Iterable[tuple[str, Any]]) -> None:
        """Names and values, one pair a line; pairs whose value is None are left out."""
        shown = [(name, _cell(value)) for name, value in pairs if value is not None]
        room = max((len(name) for name, _ in shown), default=0) + 2
        for name, value in shown:
            lines = [value] if self.width is None else wrapped(value, self.width - room)
            self._print(name.ljust(room) + self._styled(lines[0]))
            for line in lines[1:]:
                self._print(" " * room + line)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """A table; on a terminal it fits the width, and only ids are shortened."""
        cells = [[_cell(value) for value in row] for row in rows]
        lines = whole(columns, cells) if self.width is None else fitted(columns, cells, self.width)
        for line in lines:
            self._print("".join(map(self._styled, line)).rstrip())

    @contextmanager
    def bar(self, doing: str, total: int | None) -> Iterator[Callable[[int, str], None]]:
        """Shows the progress of long work on stderr: a bar on a terminal, nothing in a log.

        Text that is printed within the block appears above the bar, on its own stream.

        Args:
            doing: name of the work.
            total: number of its units; None: unknown.

        Yields:
            A function of the number of units done so far, and a word on their state.
        """
        if not sys.stderr.isatty():
            yield lambda _done, _word: None
            return
        from waybill_cli.output.progress import Bar  # noqa: PLC0415 - slow to import; help must not wait for it

        with Bar(doing, total) as shown:
            self._bar = shown
            try:
                yield shown.update
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
        return make_printable(json.dumps(value, ensure_ascii=False))
    return make_printable(str(value))
