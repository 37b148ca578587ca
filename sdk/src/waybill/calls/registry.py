"""The calls about kinds and the account, and any other call."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic_core import from_json

from waybill.answers import Account, Kind, KindDetails, Page, Stats
from waybill.calls.call import Answer, Call, json_body, model, present
from waybill.calls.keys import checked_key
from waybill.calls.paths import segment
from waybill.calls.tasks import JSON_TYPE, KEY_HEADER
from waybill.problems import UnexpectedAnswerError


def kinds(service: str | None, limit: int, cursor: str | None) -> Call[Page[Kind]]:
    """`GET /v1/kinds`."""
    params = present({"service": service, "limit": limit, "cursor": cursor})
    return Call("GET", "/v1/kinds", model(Page[Kind]), params)


def kind(name: str) -> Call[KindDetails]:
    """`GET /v1/kinds/{kind}`."""
    return Call("GET", f"/v1/kinds/{segment(name)}", model(KindDetails))


def account(since: datetime | None, until: datetime | None) -> Call[Account]:
    """`GET /v1/accounting`."""
    return Call("GET", "/v1/accounting", model(Account), present({"since": since, "until": until}))


def stats(within: str, kind: str | None, service: str | None) -> Call[Stats]:
    """`GET /v1/stats`."""
    params = present({"within": within, "kind": kind, "service": service})
    return Call("GET", "/v1/stats", model(Stats), params)


def any_call(
    method: str, path: str, params: Mapping[str, Any] | None, body: Any, key: str | None
) -> Call[Any]:
    """Any call that takes JSON and answers with it; None: the answer is empty."""
    headers = {} if key is None else {KEY_HEADER: checked_key(key)}
    return Call(
        method,
        path,
        _document,
        present(params or {}),
        headers | ({} if body is None else JSON_TYPE),
        None if body is None else json_body(body),
        is_repeatable=method in {"GET", "HEAD"} or key is not None,
    )


def streamed(path: str, params: Mapping[str, Any] | None) -> Call[Any]:
    """A call that is answered with JSON lines; it reads one of them."""
    return Call("GET", path, _document, present(params or {}), {"Accept": "application/x-ndjson"})


def _document(answer: Answer) -> Any:
    if not answer.content:
        return None
    try:
        return from_json(answer.content)
    except ValueError as error:
        raise UnexpectedAnswerError(answer.status, "the answer is no JSON") from error
