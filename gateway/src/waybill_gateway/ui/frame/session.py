"""The session of a browser: its key in a cookie that no script can read, and the tokens of its forms.

The cookie holds the key itself, so that a session ends with its key, needs no table, and is good in every
gateway process (decision 56). That cookie is set without a path, by a page right below /ui: a browser then
sends it for /ui and below, also where a proxy has put a prefix before it.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Final

from fastapi import HTTPException, Request, Response

#: Cookie with the key of who has signed in.
KEY_COOKIE: Final = "waybill_key"
#: Cookie with a random text; the tokens of forms depend on it where nobody has signed in.
VISIT_COOKIE: Final = "waybill_visit"
#: Field of each form with its token.
TOKEN_FIELD: Final = "form_token"  # noqa: S105 - the name of a field
_VISIT_BYTES: Final = 16
#: Values of Sec-Fetch-Site of a form that is not ours.
_FOREIGN: Final = frozenset({"cross-site", "same-site"})


def signed_in_with(request: Request) -> str | None:
    """The token of the key that the browser has signed in with; None: it has not."""
    return next(_values(request, KEY_COOKIE), None)


def sign_in(request: Request, response: Response, token: str) -> None:
    """Makes the browser send this key from now on, until it is closed."""
    _set(request, response, KEY_COOKIE, token)


def sign_out(response: Response) -> None:
    """Makes the browser send no key any more."""
    # Without a path, as it was set.
    response.delete_cookie(KEY_COOKIE, path=None)  # type: ignore[arg-type] # starlette leaves it out then


def form_token(request: Request, response_cookies: dict[str, str]) -> str:
    """The token for the forms of a page.

    Args:
        request: of the page.
        response_cookies: gets the cookie that the token depends on, if the browser has none.
    """
    secret = next(_secrets(request), None)
    if secret is None:
        secret = response_cookies[VISIT_COOKIE] = secrets.token_urlsafe(_VISIT_BYTES)
    return _token(secret)


def require_own_form(request: Request, token: object) -> None:
    """Refuses a form that another site made a browser send.

    Raises:
        HTTPException: 403, the token is not that of this browser, or the form comes from another site.
    """
    foreign = request.headers.get("sec-fetch-site") in _FOREIGN
    given = token if isinstance(token, str) else ""
    known = [hmac.compare_digest(_token(secret).encode(), given.encode()) for secret in _secrets(request)]
    if foreign or not any(known):
        raise HTTPException(
            HTTPStatus.FORBIDDEN,
            "This form does not belong to your session, so nothing was done. Load the page again, and "
            "repeat it.",
        )


def keep_cookies(request: Request, response: Response, cookies: dict[str, str]) -> None:
    """Sets cookies that a page needs."""
    for name, value in cookies.items():
        # For all pages, whichever comes first: its directory alone would leave the others without it.
        _set(request, response, name, value, path="/")


def _set(request: Request, response: Response, name: str, value: str, path: str | None = None) -> None:
    response.set_cookie(
        name,
        value,
        path=path,
        httponly=True,
        samesite="lax",
        # The scheme is that of the browser, if the proxy in front is one that is trusted.
        secure=request.url.scheme == "https",
    )


def _secrets(request: Request) -> Iterator[str]:
    """What the tokens of this browser's forms may depend on: the key alone, where it has one."""
    key = signed_in_with(request)
    yield from _values(request, VISIT_COOKIE) if key is None else (key,)


def _token(secret: str) -> str:
    return hmac.new(secret.encode(), b"waybill form", hashlib.sha256).hexdigest()


def _values(request: Request, name: str) -> Iterator[str]:
    """All values of a cookie: a browser may hold one for each path."""
    for part in request.headers.get("cookie", "").split(";"):
        try:
            found = SimpleCookie(part.strip())
        except CookieError:
            continue
        if name in found and found[name].value:
            yield found[name].value
