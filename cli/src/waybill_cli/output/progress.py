"""A bar on stderr for work that takes long, which makes room for whatever is said meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Bar:
    """A bar; shown while its context is entered.

    Args:
        doing: what takes long.
        total: units of it; None: not known.
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
            # It would have what belongs on stdout printed on stderr.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task(doing, total=total, word="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, done: int, word: str) -> None:
        """Shows how many units are done by now, and a word on how it goes."""
        self._progress.update(self._task, completed=done, word=word)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Takes the bar from the terminal for the block."""
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()
