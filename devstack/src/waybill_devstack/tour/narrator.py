"""Prints each step of the tour, and keeps results for the summary."""

from dataclasses import dataclass, field
from time import monotonic

from rich.console import Console
from rich.markup import escape


class TourError(Exception):
    """A check of the tour failed; `str()` has what was expected and what was seen."""


@dataclass(slots=True)
class Narrator:
    """Prints the tour."""

    console: Console
    started: float = field(default_factory=monotonic)
    #: One line for each chapter that was right.
    seen: list[str] = field(default_factory=list)

    def chapter(self, title: str) -> None:
        """Begins a part of the tour."""
        self.console.print(f"\n[bold]{escape(title)}[/bold]")

    def did(self, text: str) -> None:
        """Prints an action of the tour."""
        self.console.print(f"  [dim]{self._clock()}[/dim]  {escape(text)}")

    def saw(self, text: str) -> None:
        """Prints a result."""
        self.console.print(f"  [dim]{self._clock()}[/dim]  [green]✓[/green] {escape(text)}")

    def sum_up(self, text: str) -> None:
        """Keeps a line for the summary."""
        self.seen.append(text)

    def expect(self, holds: bool, expectation: str, seen: object = "") -> None:  # noqa: FBT001 - reads as a sentence
        """Goes on only if `holds`.

        Raises:
            TourError: it does not.
        """
        if not holds:
            raise TourError(f"expected {expectation}" + (f", but saw: {seen}" if seen != "" else ""))
        self.saw(expectation)

    def _clock(self) -> str:
        return f"{monotonic() - self.started:5.1f} s"
