"""The root of the gateway: what it is, and links."""

from typing import Annotated, Final

from fastapi import APIRouter, Header, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel

from waybill_gateway.auth import GuardedRoute
from waybill_gateway.docs import SUMMARY

router = APIRouter(tags=["health"], route_class=GuardedRoute)

#: Paths, and what is there.
LINKS: Final = {
    "/ui": "the page for people: what is going on, and what to do about it",
    "/docs": "all calls, to try out",
    "/openapi.json": "all calls, for programs",
    "/asyncapi.json": "the messages between the services",
    "/v1/tasks": "accepted tasks and their states",
    "/readyz": "whether tasks can be accepted now",
}
_ITEMS: Final = "\n".join(f'<li><a href="{path}">{path}</a>: {words}</li>' for path, words in LINKS.items())
_PAGE: Final = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Waybill</title>
<h1>Waybill</h1>
<p>{SUMMARY}</p>
<ul>
{_ITEMS}
</ul>
</html>
"""
#: The page has links and nothing else.
_SAFE: Final = {"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff"}
#: The answer is JSON or HTML.
_VARIES: Final = {"Vary": "Accept"}


class Entrance(BaseModel):
    """What this is, and links."""

    name: str
    summary: str
    links: dict[str, str]


@router.get(
    "/",
    response_model=Entrance,
    responses={
        200: {
            "content": {"text/html": {"schema": {"type": "string"}}},
            "description": "JSON; for a browser a page.",
        }
    },
)
async def entrance(accept: Annotated[str, Header(include_in_schema=False)] = "*/*") -> Response:
    """Describes this service and links to its parts; needs no key."""
    if "text/html" in accept:
        return HTMLResponse(_PAGE, headers=_SAFE | _VARIES)
    answer = Entrance(name="Waybill", summary=SUMMARY, links=LINKS)
    return JSONResponse(answer.model_dump(), headers=_VARIES)
