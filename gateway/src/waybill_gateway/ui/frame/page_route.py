"""Routes of pages: guarded like the operation of the API that they show, with errors that are pages too."""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Depends, Request, Response

from waybill_gateway.auth import (
    Actor,
    Authenticator,
    Caller,
    CallerDep,
    GuardedRoute,
    Handle,
    needed_by,
    note_caller,
    require_scope,
)
from waybill_gateway.http import require_single
from waybill_gateway.runtime import ResourcesDep
from waybill_gateway.ui.frame import session
from waybill_gateway.ui.frame.page import PAGE, Page, PageDep

#: Fields of a form at most.
MOST_FIELDS: Final = 200
#: Where a browser signs in.
SIGN_IN: Final = "/ui/sign-in"
#: The place of a form's fields in the scope of its request.
_FORM: Final = "waybill.form"


class PageRoute(GuardedRoute):
    """A route that answers with a page.

    Its name is that of the operation of the API that it shows or does, which says what scope it needs. A form
    is done only if it comes from a page of this session.
    """

    def get_route_handler(self) -> Handle:
        """The route's handler; an error is shown as a page."""
        needed, is_form = needed_by(self.name), self.methods != {"GET"}
        # Not that of a guarded route: the key comes in a cookie here, and only here.
        handle = super(GuardedRoute, self).get_route_handler()

        async def handle_page(request: Request) -> Response:
            page = request.scope[PAGE] = _page(request)
            try:
                if needed:
                    page.caller = await _signed_in(request)
                    require_scope(page.caller, needed)
                if is_form:
                    await _read_form(request)
                _leave_out_empty(request)
                return await handle(request)
            except Exception as error:  # noqa: BLE001 - each is answered, in the words of the API
                return await _answer_error(request, page, error)

        return handle_page


def pages_router() -> APIRouter:
    """A router for pages, which are no operations of the API."""
    return APIRouter(route_class=PageRoute, include_in_schema=False)


async def _form(request: Request) -> dict[str, str]:
    form: dict[str, str] = request.scope[_FORM]
    return form


#: The fields of a form that are filled in, for a route's signature.
FormDep = Annotated[dict[str, str], Depends(_form)]


@dataclass(frozen=True, slots=True)
class Submitted:
    """A form that a person has sent, and what its action needs."""

    page: PageDep
    resources: ResourcesDep
    caller: CallerDep
    actor: Actor
    form: FormDep


#: What a person has sent, for a route's signature.
SubmittedDep = Annotated[Submitted, Depends()]


def _page(request: Request) -> Page:
    authenticator: Authenticator = request.app.state.authenticator
    return Page(request, is_open=authenticator.is_open)


async def _signed_in(request: Request) -> Caller:
    """Who looks.

    Raises:
        Problem: 401 or 429, as `Authenticator.identify`.
        SQLAlchemyError: the key had to be looked up, and the ledger did not answer.
    """
    require_single(request.scope)
    authenticator: Authenticator = request.app.state.authenticator
    return note_caller(request, await authenticator.identify(request, session.signed_in_with(request)))


async def _read_form(request: Request) -> None:
    """Reads a form, and refuses one that is not of this session.

    Raises:
        Problem: 403.
        HTTPException: 400, it is no form, or has too many fields.
    """
    form = await request.form(max_files=0, max_fields=MOST_FIELDS)
    session.require_own_form(request, form.get(session.TOKEN_FIELD))
    request.scope[_FORM] = {
        name: value
        for name, value in form.items()
        if isinstance(value, str) and value and name != session.TOKEN_FIELD
    }


def _leave_out_empty(request: Request) -> None:
    """Removes parameters without a value: forms send each field that is not filled in."""
    given = parse_qsl(request.scope["query_string"].decode("latin-1"))
    request.scope["query_string"] = urlencode(given).encode("latin-1")


async def _answer_error(request: Request, page: Page, error: Exception) -> Response:
    """The page for an error: what the API would answer, for people."""
    handlers = request.app.exception_handlers
    handler = next(handlers[cls] for cls in type(error).__mro__ if cls in handlers)
    answer = await handler(request, error)
    wants_key = answer.status_code == HTTPStatus.UNAUTHORIZED
    if wants_key and "hx-request" in request.headers:
        # A region that renews itself would find nothing of its own on the page of the sign-in, and vanish.
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"HX-Refresh": "true"})
    if wants_key and request.method == "GET":
        query = request.url.query
        return page.redirect(SIGN_IN, next=request.url.path + (f"?{query}" if query else ""))
    shown = page.render("error.html", answer.status_code, problem=_document(answer))
    if wait := answer.headers.get("retry-after"):
        shown.headers["Retry-After"] = wait
    return shown


def _document(answer: Response) -> dict[str, Any]:
    document: dict[str, Any] = {
        "title": "Gone",
        "status": answer.status_code,
        "detail": "The browser has left.",
        "errors": [],
    }
    return document | (json.loads(bytes(answer.body)) if answer.body else {})
