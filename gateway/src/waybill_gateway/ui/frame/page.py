"""One page as it is made: who looks at it, where its links lead, what it may offer."""

from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Depends, Request, Response
from fastapi.responses import RedirectResponse
from markupsafe import Markup

from waybill_gateway.auth import Caller, needed_by
from waybill_gateway.runtime import Resources
from waybill_gateway.ui.frame import assets, formats, session
from waybill_gateway.ui.frame.rendering import rendered

#: The place of the page in the scope of its request.
PAGE: Final = "waybill.page"


class Page:
    """The page that a request asks for.

    Args:
        request: of a browser.
        is_open: whether nobody has to sign in.
    """

    def __init__(self, request: Request, *, is_open: bool) -> None:
        self._request = request
        self._up = "../" * max(request.url.path.count("/") - 1, 0) or "./"
        self._cookies: dict[str, str] = {}
        #: Who has signed in; None: nobody.
        self.caller: Caller | None = None
        self.is_open = is_open
        self.path = request.url.path
        resources: Resources = request.app.state.resources
        self.now: datetime = resources.records.now()
        self.form_token = session.form_token(request, self._cookies)

    def url(self, path: str, **query: Any) -> str:
        """The address of `path`, relative to this page: right behind any prefix of a proxy.

        Args:
            path: from the root of the gateway: `/ui/tasks`.
            query: parameters; those that are None are left out.
        """
        given = {name: value for name, value in query.items() if value is not None}
        return f"{self._up}{path.removeprefix('/')}" + (f"?{urlencode(given)}" if given else "")

    def here(self, **changes: Any) -> str:
        """The address of this page with some parameters changed; None removes one."""
        return self.url(self.path, **dict(self._request.query_params) | changes)

    def asset(self, name: str) -> str:
        """The address of a file that comes with the page."""
        return self.url(assets.path_of(name))

    def may(self, operation: str) -> bool:
        """Whether who looks may call this operation of the API."""
        return self.caller is not None and self.caller.allows(*needed_by(operation))

    def ago(self, moment: datetime) -> Markup:
        """A time relative to that of the page."""
        return formats.ago(moment, self.now)

    def render(self, template: str, status: int = 200, **context: Any) -> Response:
        """The answer: a template, filled in."""
        answer = rendered(template, status, context | {"page": self})
        session.keep_cookies(self._request, answer, self._cookies)
        return answer

    def redirect(self, path: str, **query: Any) -> Response:
        """The answer to an action: its result is on another page."""
        return RedirectResponse(self.url(path, **query), 303)


async def _current_page(request: Request) -> Page:
    page: Page = request.scope[PAGE]
    return page


#: The page, for a route's signature.
PageDep = Annotated[Page, Depends(_current_page)]
