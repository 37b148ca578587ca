"""The files that come with the page: styles, scripts, the mark. Their addresses change with their content."""

import hashlib
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Final

from fastapi import APIRouter, HTTPException, Response

from waybill_gateway.auth import GuardedRoute

_FOLDER: Final = Path(__file__).parents[1] / "static"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
#: Characters of a digest in an address.
_MARK: Final = 12
#: A file never changes under its address.
_FOR_EVER: Final = "public, max-age=31536000, immutable"

router = APIRouter(route_class=GuardedRoute, include_in_schema=False)


@dataclass(frozen=True, slots=True)
class _Asset:
    body: bytes
    media_type: str
    mark: str


def path_of(name: str) -> str:
    """The path of a file, from the root of the gateway."""
    return f"/ui/static/{_assets()[name].mark}/{name}"


@router.get("/ui/static/{mark}/{name}")
async def static_file(mark: str, name: str) -> Response:
    """Gives a file of the page; needs no key."""
    asset = _assets().get(name)
    if asset is None or asset.mark != mark:
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such path.")
    headers = {"Cache-Control": _FOR_EVER, "X-Content-Type-Options": "nosniff"}
    return Response(asset.body, media_type=asset.media_type, headers=headers)


@cache
def _assets() -> dict[str, _Asset]:
    return {
        path.name: _Asset(body, _TYPES[path.suffix], hashlib.sha256(body).hexdigest()[:_MARK])
        for path in _FOLDER.rglob("*.*")
        if path.suffix in _TYPES
        for body in (path.read_bytes(),)
    }
