"""A progress bar on stderr, which makes room for other output."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Bar:
    """A progress bar; visible while its context is entered.

    Args:
        doing: name of the work.
        total: number of its units; None: unknown.
    """

    def __init__(self, doing: str, total: int | None) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[word]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True, highlight=False),
            transient=True,
            # Redirected, output for stdout would go to stderr.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task(doing, total=total, word="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, done: int, word: str) -> None:
        """Shows the number of units done so far, and a word on their state."""
        self._progress.update(self._task, completed=done, word=word)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Hides the bar for the block."""
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()
