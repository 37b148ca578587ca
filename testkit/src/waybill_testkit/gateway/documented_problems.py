"""Checks each problem in an answer against the OpenAPI document."""

import json
import re
from functools import cache
from typing import Any

import httpx

from waybill_gateway.docs import OF_NO_OPERATION
from waybill_gateway.documents import current_documents
from waybill_gateway.http import CONTENT_TYPE, TYPE_PREFIX


@cache
def _paths() -> list[tuple[str, dict[str, Any]]]:
    """Each path as a pattern, with its operations; those without parameters first."""
    paths = json.loads(current_documents()["openapi.json"])["paths"]
    return [
        (re.sub(r"\{\w+\}", "[^/]+", path), paths[path]) for path in sorted(paths, key=lambda p: "{" in p)
    ]


async def require_documented(answer: httpx.Response) -> None:
    """Fails if the description of the operation does not contain the problem of the answer."""
    if answer.headers.get("content-type") != CONTENT_TYPE or answer.request.method == "HEAD":
        return
    await answer.aread()
    code = answer.json()["type"].removeprefix(TYPE_PREFIX)
    if code in OF_NO_OPERATION:
        return
    path, method = answer.request.url.path, answer.request.method.lower()
    operations = next(there for pattern, there in _paths() if re.fullmatch(pattern, path))
    described = operations[method]["responses"].get(str(answer.status_code), {}).get("description", "")
    assert f"`{TYPE_PREFIX}{code}`" in described, (
        f"{method} {path} answers {answer.status_code} {code}: say so in waybill_gateway.docs.problem_types"
    )
