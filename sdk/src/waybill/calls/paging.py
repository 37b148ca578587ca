"""Listings over several pages, without I/O."""

from typing import Final, Generic

from waybill.answers import ItemT, Page

#: Most items of a page.
MOST_ON_A_PAGE: Final = 500


class Paging(Generic[ItemT]):
    """Where a listing stands.

        paging = Paging(limit)
        while paging.wanted:
            page = run(calls.page(filters, paging.wanted, paging.cursor))
            yield from paging.items(page)

    Args:
        limit: number of items at most; None: all.

    Raises:
        ValueError: the limit is negative.
    """

    def __init__(self, limit: int | None) -> None:
        if limit is not None and limit < 0:
            raise ValueError("limit is a number of items, 0 or more")
        self._left = limit
        self._is_over = False
        #: Of the next page; None: the first.
        self.cursor: str | None = None

    @property
    def wanted(self) -> int:
        """Number of items of the next page; 0: there is none."""
        if self._is_over:
            return 0
        return MOST_ON_A_PAGE if self._left is None else min(self._left, MOST_ON_A_PAGE)

    def items(self, page: Page[ItemT]) -> list[ItemT]:
        """The items of a page that came."""
        if self._left is not None:
            self._left -= len(page.items)
        self.cursor = page.next_cursor
        self._is_over = page.next_cursor is None
        return page.items
