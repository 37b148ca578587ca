"""Letters: searched and filtered; a set of them chosen, as it was shown, and closed or restored together."""

from shlex import quote
from typing import Annotated, Any, Final

from fastapi import Query, Response
from fastapi.responses import StreamingResponse

from waybill_gateway.auth import Caller, CallerDep, needed_by, require_scope
from waybill_gateway.desk import (
    ChangedView,
    CloseLetters,
    LetterFilterQuery,
    LetterQuery,
    LetterView,
    RestoreLetters,
    letter_routes,
)
from waybill_gateway.runtime import Resources, ResourcesDep
from waybill_gateway.ui.frame import (
    WINDOW_WORDS,
    WINDOWS,
    Page,
    PageDep,
    SubmittedDep,
    Within,
    body_of,
    pages_router,
)
from waybill_ledger.deadletters import LetterState, Verdict

router = pages_router()

#: Letters that are chosen together at most.
MOST_CHOSEN: Final = 1_000
_STEP: Final = 500
#: Letters of a choice that its page lists.
LISTED: Final = 25
_Notice = Annotated[str | None, Query(pattern="^(discarded|archived|restored)$")]


class LetterListQuery(LetterQuery):
    """Filters of the list, a length of time that ends now, and what was done."""

    within: Within | None = None
    notice: _Notice = None
    changed: Annotated[int | None, Query(ge=0)] = None


@router.get("/ui/letters", name="get_dead_letters")
async def show_letters(
    page: PageDep, resources: ResourcesDep, caller: CallerDep, asked: Annotated[LetterListQuery, Query()]
) -> Response:
    """Shows letters, newest first."""
    wanted = _for_the_api(page, asked)
    found = await letter_routes.get_dead_letters(resources, caller, wanted)
    registry = resources.kinds.current
    filters = wanted.model_dump(mode="json", exclude={"limit", "cursor"}, exclude_none=True)
    return page.render(
        "desk/letters.html",
        asked=asked,
        letters=found.items,
        filters=filters,
        following=found.next_cursor and page.url("/ui/letters", **filters, cursor=found.next_cursor),
        states=list(LetterState),
        verdicts=list(Verdict),
        kinds=sorted(registry.kinds),
        services=sorted(registry.services),
        windows=WINDOW_WORDS,
        command="".join(_options(filters)),
    )


@router.get("/ui/letters/export", name="export_dead_letters")
async def export_letters(
    resources: ResourcesDep, caller: CallerDep, asked: Annotated[LetterFilterQuery, Query()]
) -> StreamingResponse:
    """Streams letters with all details as JSON lines, to be kept as a file."""
    answer = await letter_routes.export_dead_letters(resources, caller, asked)
    answer.headers["Content-Disposition"] = 'attachment; filename="letters.jsonl"'
    return answer


@router.get("/ui/letters/chosen", name="discard_dead_letters")
async def show_chosen(
    page: PageDep, resources: ResourcesDep, caller: CallerDep, asked: Annotated[LetterFilterQuery, Query()]
) -> Response:
    """Shows what may be done with the letters that match now; those that come later are not of them."""
    require_scope(caller, needed_by("get_dead_letters"))
    chosen, is_all = await _chosen(resources, caller, asked)
    return page.render(
        "desk/chosen.html",
        letters=chosen[:LISTED],
        total=len(chosen),
        is_all=is_all,
        most=MOST_CHOSEN,
        dead=[each.id for each in chosen if each.state is LetterState.DEAD],
        closed=[e.id for e in chosen if e.state in {LetterState.DISCARDED, LetterState.ARCHIVED}],
        back=asked.model_dump(mode="json", exclude_none=True),
    )


@router.post("/ui/letters/discard", name="discard_dead_letters")
async def discard_letters(sent: SubmittedDep) -> Response:
    """Discards letters by their numbers."""
    close = body_of(CloseLetters, _with_ids(sent.form))
    done = await letter_routes.discard_dead_letters(close, sent.resources, sent.caller, sent.actor)
    return _listed(sent.page, "discarded", done)


@router.post("/ui/letters/archive", name="archive_dead_letters")
async def archive_letters(sent: SubmittedDep) -> Response:
    """Archives letters by their numbers."""
    close = body_of(CloseLetters, _with_ids(sent.form))
    done = await letter_routes.archive_dead_letters(close, sent.resources, sent.caller, sent.actor)
    return _listed(sent.page, "archived", done)


@router.post("/ui/letters/restore", name="restore_dead_letters")
async def restore_letters(sent: SubmittedDep) -> Response:
    """Restores letters by their numbers."""
    restore = body_of(RestoreLetters, _with_ids(sent.form))
    done = await letter_routes.restore_dead_letters(restore, sent.resources, sent.caller, sent.actor)
    return _listed(sent.page, "restored", done)


def _listed(page: Page, notice: str, done: ChangedView) -> Response:
    return page.redirect("/ui/letters", notice=notice, changed=done.changed)


def _with_ids(form: dict[str, str]) -> dict[str, Any]:
    ids = [int(each) if each.isdecimal() else each for each in form.get("ids", "").split()]
    return form | {"ids": ids}


def _for_the_api(page: Page, asked: LetterListQuery) -> LetterQuery:
    given = asked.model_dump(exclude={"within", "notice", "changed"}, exclude_unset=True)
    if asked.within is not None and asked.since is None:
        given["since"] = page.now - WINDOWS[asked.within][1]
    return LetterQuery(**given)


async def _chosen(
    resources: Resources, caller: Caller, asked: LetterFilterQuery
) -> tuple[list[LetterView], bool]:
    """The newest letters that match, and whether these are all."""
    chosen: list[LetterView] = []
    cursor: str | None = None
    while len(chosen) < MOST_CHOSEN:
        wanted = LetterQuery(**asked.model_dump(exclude_none=True), limit=_STEP, cursor=cursor)
        found = await letter_routes.get_dead_letters(resources, caller, wanted)
        chosen += found.items
        cursor = found.next_cursor
        if cursor is None:
            return chosen, True
    return chosen, False


def _options(filters: dict[str, Any]) -> list[str]:
    """The options of the command line that select the same letters."""
    names = {"error_type": "--error-type", "q": "-q"}
    return [f" {names.get(name, f'--{name}')} {quote(str(value))}" for name, value in filters.items()]
