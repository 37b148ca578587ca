"""The account: whether every accepted task has its place, and which have none."""

from typing import Annotated, Final

from fastapi import Query, Response

from waybill_gateway.auth import CallerDep
from waybill_gateway.runtime import ResourcesDep
from waybill_gateway.tasks import AccountQuery, accounting_routes
from waybill_gateway.ui.frame import WINDOW_WORDS, WINDOWS, PageDep, Within, pages_router

router = pages_router()

#: What the page shows first: an account of all time reads every task that is stored.
FIRST: Final[Within] = "1d"


class AccountPageQuery(AccountQuery):
    """The range of the account, and a length of time that ends now."""

    within: Within | None = None


@router.get("/ui/accounting", name="get_account")
async def show_account(
    page: PageDep, resources: ResourcesDep, caller: CallerDep, asked: Annotated[AccountPageQuery, Query()]
) -> Response:
    """Shows the account of a range, the last day if none is asked for."""
    wanted = AccountQuery(**asked.model_dump(exclude={"within"}, exclude_unset=True))
    within = asked.within
    if wanted.since is None and wanted.until is None:
        within = within or FIRST
        wanted = wanted.model_copy(update={"since": page.now - WINDOWS[within][1]})
    account = await accounting_routes.get_account(resources, caller, wanted)
    following = account.unplaced.next_cursor and page.here(
        cursor=account.unplaced.next_cursor, within=None, since=wanted.since and wanted.since.isoformat()
    )
    return page.render(
        "administration/account.html",
        account=account,
        asked=asked,
        within=within,
        windows=WINDOW_WORDS,
        following=following,
    )
