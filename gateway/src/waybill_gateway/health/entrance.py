"""What the gateway is, for whoever opens its bare address."""

from typing import Annotated, Final

from fastapi import APIRouter, Header, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel

from waybill_gateway.auth.guarded_route import GuardedRoute
from waybill_gateway.docs.description import SUMMARY

router = APIRouter(tags=["health"], route_class=GuardedRoute)

#: Where to look next, and what for.
LINKS: Final = {
    "/docs": "every call, to be tried out",
    "/openapi.json": "the same for programs",
    "/asyncapi.json": "the messages behind it",
    "/v1/tasks": "what was accepted, and where it is",
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
#: It holds links and nothing else.
_SAFE: Final = {"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff"}
#: Which of the two it is depends on that.
_VARIES: Final = {"Vary": "Accept"}


class Entrance(BaseModel):
    """What this is, and where to look next."""

    name: str
    summary: str
    links: dict[str, str]


@router.get(
    "/",
    response_model=Entrance,
    responses={
        200: {
            "content": {"text/html": {"schema": {"type": "string"}}},
            "description": "As JSON; for a browser as a page.",
        }
    },
)
async def entrance(accept: Annotated[str, Header(include_in_schema=False)] = "*/*") -> Response:
    """Tells what this is and where to look next; needs no key."""
    if "text/html" in accept:
        return HTMLResponse(_PAGE, headers=_SAFE | _VARIES)
    answer = Entrance(name="Waybill", summary=SUMMARY, links=LINKS)
    return JSONResponse(answer.model_dump(), headers=_VARIES)
