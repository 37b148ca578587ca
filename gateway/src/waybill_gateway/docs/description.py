"""The description of the API: what /openapi.json and /docs show beside the routes."""

from collections.abc import Sequence
from functools import cache
from http import HTTPStatus
from itertools import groupby
from operator import itemgetter
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from waybill_contracts.registry import Manifest, built_in_registry
from waybill_gateway.auth import GuardedRoute, needed_by
from waybill_gateway.docs.installation import InstalledDocument
from waybill_gateway.docs.kind_schemas import with_kinds
from waybill_gateway.docs.problem_types import PROBLEM_TYPES, problems_of
from waybill_gateway.http import CONTENT_TYPE, TYPE_PREFIX, ProblemDocument

TITLE = "Waybill"
#: Of the interface.
VERSION = "1"
SUMMARY = "Background work for web applications."
DESCRIPTION = """\
Post a task and get an answer at once. Every task that was answered with 202 ends in exactly one recorded
outcome, and until then you can see where it is and why.

1. **Post** a mail, an image, a user, a record. The answer is `202` with a `Location`.
2. **Look** at `GET /v1/tasks/{id}`: one subtask for each service that does a part of it.
3. **Account**: `GET /v1/accounting` adds up what became of all of them, and lists those that cannot be
placed.
4. **Repeat** safely: send an `Idempotency-Key` with a POST, and it is accepted once, even if you send it
several
   times. Other content with the same key is refused with 422, a call that is still being answered with 409.

Any POST of a task may set its start (`send_at` or `delay_seconds`) and its `priority`: high work overtakes,
low work is bulk work that waits for all other work. A schedule makes tasks again and again. Errors are
problem details (RFC 9457): `type` is for programs, `detail` for people, `errors` lists each wrong field.
Unknown fields are refused.

Send your key with each call: `Authorization: Bearer wb_…`. Each operation names the scope that it needs.
"""
TAGS = [
    {"name": "emails", "description": "Mails, with their own text or from a template."},
    {"name": "files", "description": "Files that tasks refer to, and files that tasks made."},
    {"name": "images", "description": "Uploads, and the variants made of them."},
    {"name": "users", "description": "New users: a welcome mail and a record elsewhere, as one task."},
    {"name": "syncs", "description": "Records for other systems."},
    {"name": "password resets", "description": "Mailed links that are valid once."},
    {"name": "schedules", "description": "Tasks that are made again and again, by cron or interval."},
    {"name": "tasks", "description": "Where tasks are, and what happened to them."},
    {
        "name": "registry",
        "description": "Kinds of tasks with their contracts, and the services that handle them.",
    },
    {"name": "persons", "description": "Stored data of one person, found by the mail address."},
    {"name": "failure desk", "description": "Tasks that failed permanently, and their redrives."},
    {"name": "reveal", "description": "Sealed data, shown to callers that may see it and give a reason."},
    {
        "name": "audit",
        "description": "Actions at the failure desk, erasures and reveals: actor, time, reason.",
    },
    {"name": "keys", "description": "What callers may do, and for which tenant."},
    {"name": "health", "description": "For load balancers and supervisors."},
]


def _describe_streams(document: dict[str, Any]) -> None:
    """Describes event streams as text: `itemSchema`, which FastAPI writes, is part of OpenAPI 3.2."""
    for path in document["paths"].values():
        for operation in path.values():
            for answer in operation["responses"].values():
                if "text/event-stream" in answer.get("content", {}):
                    answer["content"]["text/event-stream"] = {"schema": {"type": "string"}}


def _describe_keys(document: dict[str, Any]) -> None:
    """Adds the scopes of which each operation needs one; a gateway without keys ignores them."""
    document["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "An API key: wb_…"}
    }
    for path in document["paths"].values():
        for operation in path.values():
            if needed := needed_by(operation["operationId"]):
                operation["security"] = [{"key": [scope]} for scope in needed]


def _describe_problems(document: dict[str, Any]) -> None:
    """Adds the problems of each operation, and their meaning."""
    for path in document["paths"].values():
        for operation in path.values():
            answers: dict[str, Any] = {
                # A probe reports with 503, without a problem document.
                status: answer
                for status, answer in operation["responses"].items()
                if status < "400" or CONTENT_TYPE not in answer.get("content", {})
            }
            for status, problems in groupby(problems_of(operation), itemgetter(0)):
                codes = [code for _, code in problems]
                answer = _problem_answer(status, codes)
                if page := answers.get(str(status.value), {}).get("content", {}).get("text/html"):
                    # A route for people gives it instead.
                    answer["content"]["text/html"] = page
                answers[str(status.value)] = answer
            operation["responses"] = dict(sorted(answers.items()))


def _problem_answer(status: HTTPStatus, codes: Sequence[str]) -> dict[str, Any]:
    meanings = "".join(f"\n- `{TYPE_PREFIX}{code}`: {PROBLEM_TYPES[status][code]}" for code in codes)
    return {
        "description": f"{status.phrase}\n{meanings}",
        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
    }


def describe_problems(app: FastAPI) -> InstalledDocument:
    """Adds keys, problems and their schema to the app's OpenAPI document, and the built-in kinds.

    Returns:
        The document with the kinds of the installation.
    """

    def bare() -> dict[str, Any]:
        return _bare(tuple(route for route in app.routes if isinstance(route, GuardedRoute)))

    def openapi() -> dict[str, Any]:
        return with_kinds(bare(), built_in_registry())

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way to extend the document
    return InstalledDocument(app, bare)


@cache
def _bare(routes: tuple[GuardedRoute, ...]) -> dict[str, Any]:
    """The document without kinds, made once for all applications that have these routes."""
    document = get_openapi(
        title=TITLE,
        version=VERSION,
        summary=SUMMARY,
        description=DESCRIPTION,
        tags=TAGS,
        routes=routes,
    )
    _, definitions = models_json_schema(
        [(ProblemDocument, "serialization"), (Manifest, "validation")],
        ref_template="#/components/schemas/{model}",
    )
    document["components"]["schemas"] |= definitions["$defs"]
    _describe_streams(document)
    _describe_keys(document)
    _describe_problems(document)
    return document
