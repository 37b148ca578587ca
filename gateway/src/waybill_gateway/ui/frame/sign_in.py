"""A browser signs in with an API key, and out."""

from typing import Annotated
from urllib.parse import unquote

from fastapi import Query, Request, Response

from waybill_gateway.auth import Authenticator, needed_by, require_scope
from waybill_gateway.http import Problem
from waybill_gateway.ui.frame import session
from waybill_gateway.ui.frame.page import PageDep
from waybill_gateway.ui.frame.page_route import SIGN_IN, FormDep, pages_router

router = pages_router()

#: Where who has signed in is brought, without a wish of its own.
HOME = "/ui"

_Next = Annotated[str | None, Query(alias="next", max_length=2000)]


@router.get(SIGN_IN)
async def show_sign_in(page: PageDep, wanted: _Next = None) -> Response:
    """Asks for a key."""
    return page.render("sign_in.html", wanted=wanted, problem=None)


@router.post(SIGN_IN)
async def sign_in(request: Request, page: PageDep, form: FormDep) -> Response:
    """Takes a key, and leads to the page that was wanted."""
    authenticator: Authenticator = request.app.state.authenticator
    token, wanted = form.get("key", "").strip(), form.get("next")
    try:
        caller = await authenticator.identify(request, token)
        require_scope(caller, needed_by("get_tasks"))
    except Problem as problem:
        answer = page.render("sign_in.html", problem.status_code, wanted=wanted, problem=problem)
        answer.headers.update(problem.headers or {})
        return answer
    answer = page.redirect(_ours(wanted) or HOME)
    session.sign_in(request, answer, token)
    return answer


@router.post("/ui/sign-out")
async def sign_out(page: PageDep) -> Response:
    """Ends the session of this browser; the key stays valid."""
    answer = page.redirect(SIGN_IN)
    session.sign_out(answer)
    return answer


def _ours(wanted: str | None) -> str | None:
    """An address, if it is one of a page here, and not one that leads elsewhere."""
    is_ours = (
        wanted is not None
        and "\\" not in wanted
        # Behind the prefix of a proxy it would lead out of it.
        and ".." not in unquote(wanted)
        and f"{wanted}/".startswith(("/ui/", "/ui?"))
    )
    return wanted if is_ours else None
