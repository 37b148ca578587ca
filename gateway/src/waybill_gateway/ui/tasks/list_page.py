"""The list of tasks: searched, filtered, paged; each view has an address of its own."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Response

from waybill_contracts.states import State
from waybill_gateway.auth import Caller, CallerDep
from waybill_gateway.http import Search
from waybill_gateway.runtime import Resources, ResourcesDep
from waybill_gateway.tasks import TaskQuery, task_filter
from waybill_gateway.tasks import routes as api
from waybill_gateway.ui.frame import WINDOW_WORDS, WINDOWS, Page, PageDep, Within, pages_router
from waybill_ledger import count_tasks

#: Tasks that are counted at most: enough to see whether a filter is narrow.
MOST_COUNTED: Final = 1_000
#: Suggestions of a search.
MOST_SUGGESTED: Final = 500
#: Filters that a search may have in it.
_TERMS: Final = ("state", "kind", "service")
#: Tasks that a search looks at, unless it is asked to look at all.
MOST_SEARCHED: Final = 100_000

router: APIRouter = pages_router()


class ListQuery(TaskQuery):
    """Filters of the list, as `GET /v1/tasks` has them, and a length of time that ends now."""

    within: Within | None = None
    everything: bool = False

    @property
    def takes_long(self) -> bool:
        """Whether no index holds what is asked for alone, so that a search may read every task."""
        if self.state is not None and not self.state.is_terminal:
            return False
        narrow = (self.id, self.parent, self.schedule, self.person)
        mixed = self.service is not None or (self.state is not None and self.kind is not None)
        return self.q is not None or (mixed and not any(narrow))


@router.get("/ui/tasks", name="get_tasks")
async def show_tasks(
    page: PageDep, resources: ResourcesDep, caller: CallerDep, asked: Annotated[ListQuery, Query()]
) -> Response:
    """Shows tasks, newest first."""
    wanted = for_the_api(page, asked)
    found = await api.get_tasks(resources, caller, wanted)
    registry = resources.kinds.current
    # Each further page names the time at which the first one began to look.
    following = found.next_cursor and page.here(
        cursor=found.next_cursor, within=None, since=wanted.since and wanted.since.isoformat()
    )
    return page.render(
        "tasks/list.html",
        asked=asked,
        tasks=found.items,
        following=following,
        counted=await _count(resources, caller, wanted, len(found.items), is_all=found.next_cursor is None),
        states=list(State),
        kinds=sorted(registry.kinds),
        services=sorted(registry.services),
        windows=WINDOW_WORDS,
        searched=wanted.newest,
        may_be_open=asked.state is None or not asked.state.is_terminal,
        filters=asked.model_dump(mode="json", exclude={"limit", "cursor"}, exclude_none=True),
        is_filtered=bool(asked.model_dump(exclude={"limit", "cursor"}, exclude_none=True)),
    )


@router.get("/ui/search", name="get_tasks")
async def search(
    page: PageDep, resources: ResourcesDep, caller: CallerDep, q: Annotated[Search | None, Query()] = None
) -> Response:
    """Leads to the one task whose id begins with this text, or to the list of all tasks that match it.

    `kind:`, `service:` and `state:` in it are filters.
    """
    filters, text = terms_of(q or "")
    if filters:
        return page.redirect("/ui/tasks", **filters, q=text or None)
    if is_beginning(text):
        found = await api.get_tasks(resources, caller, TaskQuery(id=text, limit=2))
        if len(found.items) == 1:
            return page.redirect(f"/ui/tasks/{found.items[0].id}")
        if found.items:
            return page.redirect("/ui/tasks", id=text)
    return page.redirect("/ui/tasks", q=text or None)


@router.get("/ui/search/suggestions", name="get_tasks")
async def suggest(page: PageDep, resources: ResourcesDep) -> Response:
    """Gives what a search may be narrowed by: states, kinds, services."""
    registry = resources.kinds.current
    known: dict[str, Sequence[str]] = {
        "state": list(State),
        "kind": sorted(registry.kinds),
        "service": sorted(registry.services),
    }
    suggestions = [f"{name}:{value}" for name, values in known.items() for value in values]
    return page.render("suggestions.html", suggestions=suggestions[:MOST_SUGGESTED])


def terms_of(text: str) -> tuple[dict[str, str], str]:
    """The filters in a search, and the rest of it.

    Example: `terms_of("kind:email.requested order 17")` returns `({"kind": "email.requested"}, "order 17")`.
    """
    filters: dict[str, str] = {}
    rest = []
    for word in text.split():
        name, sign, value = word.partition(":")
        if sign and value and name in _TERMS:
            filters[name] = value
        else:
            rest.append(word)
    return filters, " ".join(rest) if filters else text.strip()


def is_beginning(text: str) -> bool:
    """Whether a text may be the beginning of an id; a short word such as `add` rather is not."""
    digits = text.replace("-", "")
    return len(digits) >= _FEWEST_DIGITS and set(text.lower()) <= _OF_IDS and len(text) <= _ID_LENGTH


def for_the_api(page: Page, asked: ListQuery) -> TaskQuery:
    """The filters as the API has them: those of a length of time end now."""
    given = asked.model_dump(exclude={"within", "everything"}, exclude_unset=True)
    if asked.takes_long and not asked.everything:
        given["newest"] = MOST_SEARCHED
    if asked.within is not None and asked.since is None:
        given["since"] = page.now - WINDOWS[asked.within][1]
    return TaskQuery(**given)


async def _count(
    resources: Resources, caller: Caller, wanted: TaskQuery, on_page: int, *, is_all: bool
) -> str:
    """How many tasks match, in words that say where the counting has ended."""
    if is_all and wanted.cursor is None:
        return f"{on_page:,}"
    query = partial(count_tasks, wanted=task_filter(resources, caller, wanted), most=MOST_COUNTED + 1)
    number = await resources.records.read(query)
    return f"more than {MOST_COUNTED:,}" if number > MOST_COUNTED else f"{number:,}"


_FEWEST_DIGITS: Final = 6
_ID_LENGTH: Final = len(str(UUID(int=0)))
_OF_IDS: Final = frozenset("0123456789abcdef-")
