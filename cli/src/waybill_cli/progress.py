"""Progress of long work, on stderr: a bar on a terminal, nothing in a log."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def bar(doing: str, total: int | None) -> Iterator[Callable[[int, str], None]]:
    """Shows a bar for the block.

    Args:
        doing: what takes long.
        total: units of it; None: not known.

    Yields:
        Takes how many units are done by now, and a word on how it goes.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[word]}"),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True, highlight=False)
    with Progress(*columns, console=console, disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task(doing, total=total, word="")

        def tell(done: int, word: str) -> None:
            progress.update(task, completed=done, word=word)

        yield tell
