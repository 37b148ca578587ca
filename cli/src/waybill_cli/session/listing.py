"""Listings: their shared options, and how they are shown."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, TypeVar

import click

from waybill_cli.session.session import Session

_F = TypeVar("_F", bound=Callable[..., Any])

#: A screenful or two.
DEFAULT_LIMIT = 50


def list_options(command: _F) -> _F:
    """Adds `--limit` and `--all` (as `every`)."""
    command = click.option("--all", "every", is_flag=True, help="All of them, without a limit.")(command)
    return click.option(
        "--limit",
        type=click.IntRange(min=1),
        default=DEFAULT_LIMIT,
        show_default=True,
        help="Number of rows at most.",
    )(command)


def show_listing(
    session: Session,
    path: str,
    columns: Sequence[str],
    row: Callable[[dict[str, Any]], Sequence[Any]],
    *,
    limit: int,
    every: bool,
    **filters: Any,
) -> None:
    """Shows the items of a listing of the API: as a table, or as JSON lines as they arrive.

    Args:
        session: of the command.
        path: of the listing in the API.
        columns: of the table.
        row: makes the cells of a row from an item.
        limit: number of items at most, unless `every`.
        every: all of them.
        filters: of the listing.
    """
    most = None if every else limit
    # One more than is shown, to know whether there are more.
    found = session.gateway.items(path, most=None if most is None else most + 1, **filters)
    shown = islice(found, most)
    if session.out.as_json:
        for item in shown:
            session.out.document(item)
    else:
        session.out.table(columns, map(row, shown))
    if next(found, None) is not None:
        session.out.remark(f"These are the first {most}; --all shows all, --limit N shows N.")
