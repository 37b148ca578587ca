"""JSON bodies, read strictly: only values that reach the service unchanged are accepted."""

from collections.abc import Callable, Coroutine
from email.message import Message
from http import HTTPStatus
from math import isinf
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json

from waybill_gateway.http.problems import Problem

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def read_json(text: bytes | str) -> Any:
    """The value of a JSON text; of a repeated name the last one counts.

    Values that Python's parser accepts but no message can carry are refused: NaN and numbers beyond a double,
    text that is not Unicode (lone surrogates), nesting deeper than 200.

    Raises:
        ValueError: it is no such JSON; names the position, and nothing of the content.
    """
    value = from_json(text, allow_inf_nan=False)
    # 1e400 is read as infinity, which JSON cannot hold.
    if _holds_infinity(value):
        raise ValueError("a number is too large for a double")
    return value


def parse_json(body: bytes) -> Any:
    """The value of a body, as `read_json` reads it.

    Raises:
        Problem: 400, it cannot be read.
    """
    try:
        return read_json(body)
    except ValueError as error:
        raise _unreadable(str(error)) from error


def require_json(content_type: str) -> None:
    """Requires that the body is declared as JSON.

    Args:
        content_type: the header of that name; empty if there is none.

    Raises:
        Problem: 415, it is not.
    """
    # Nearly always the first.
    if content_type != "application/json" and not _is_json(content_type):
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "not_json",
            "Send the body as JSON, with the header Content-Type: application/json.",
        )


class JsonRequest(Request):
    """A request whose body is JSON as RFC 8259 has it."""

    async def json(self) -> Any:
        """The body's value; see `parse_json`."""
        return parse_json(await self.body())


class JsonRoute(APIRoute):
    """A route that takes JSON and nothing else."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, given a `JsonRequest`."""
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            if request.method in _WITH_BODY:
                require_json(request.headers.get("content-type", ""))
            return await handle(JsonRequest(request.scope, request.receive))

        return handle_json


def _holds_infinity(value: Any) -> bool:
    # Only numbers are looked at: to serialise the value for this would take as long as to read it.
    pending = [[value]]
    while pending:
        for each in pending.pop():
            kind = type(each)
            if kind is dict:
                pending.append(each.values())
            elif kind is list:
                pending.append(each)
            elif kind is float and isinf(each):
                return True
    return False


def _unreadable(reason: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, "invalid_json", f"The body cannot be read as JSON: {reason}.")


def _is_json(content_type: str) -> bool:
    header = Message()
    header["content-type"] = content_type
    return header.get_content_type() == "application/json" or (
        header.get_content_maintype() == "application" and header.get_content_subtype().endswith("+json")
    )
