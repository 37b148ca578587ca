"""Answers posting routes directly: FastAPI describes them, but its way to their arguments is left out.

Solving dependencies, two stacks of contexts and the validation of our own answer cost half of what a gateway
spends on a task. A route whose every argument is known here is called with them at once; any other, one with
a dependency of its own say, is left to FastAPI, so that nothing can be passed over.
"""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, _effective_route_context_var
from pydantic import BaseModel, ValidationError

from waybill_gateway.auth.caller import caller_in, current_caller
from waybill_gateway.http.idempotency_key import KEY_HEADER
from waybill_gateway.runtime.resources import current_resources
from waybill_gateway.tasks.submission import described_origin, origin_of

#: What becomes of a request.
Handle = Callable[[Request], Coroutine[Any, Any, Response]]
#: How one argument is had from a request.
Argument = Callable[[Request], Any]

_KNOWN_DEPENDENCIES: Final[Mapping[object, Argument]] = {
    current_resources: lambda request: request.app.state.resources,
    current_caller: lambda request: caller_in(request.scope),
    described_origin: lambda request: origin_of(
        request.headers.get("x-request-id"), request.headers.get("traceparent")
    ),
}


def direct_handler(route: APIRoute) -> Handle | None:
    """The handler of a posting route; None where FastAPI must do it.

    Called by FastAPI while it includes the route, whose dependencies may have grown by that.
    """
    included = _effective_route_context_var.get()
    described = included if included is not None and included.original_route is route else route
    body, arguments = _posted(described.dependant), _arguments(described.dependant)
    if body is None or arguments is None or route.methods != {"POST"}:
        return None
    name, model = body
    status, endpoint = described.status_code or 200, route.endpoint
    response_name = described.dependant.response_param_name

    async def handle(request: Request) -> Response:
        values = {argument: get(request) for argument, get in arguments.items()}
        values[name] = _validated(model, await request.json() if await request.body() else None)
        response = Response(status_code=status, media_type="application/json")
        if response_name is not None:
            values[response_name] = response
        answer: BaseModel = await endpoint(**values)
        response.body = answer.model_dump_json(by_alias=True).encode()
        response.headers["content-length"] = str(len(response.body))
        return response

    return handle


def _posted(dependant: Dependant) -> tuple[str, type[BaseModel]] | None:
    """The name and model of the body; None unless it is one model."""
    if len(dependant.body_params) != 1:
        return None
    model = dependant.body_params[0].field_info.annotation
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return None
    return dependant.body_params[0].name, model


def _arguments(dependant: Dependant) -> dict[str, Argument] | None:
    """How each argument beside body and response is had; None if that is not known of one."""
    unknown = (
        dependant.path_params,
        dependant.query_params,
        dependant.cookie_params,
        dependant.request_param_name,
        dependant.background_tasks_param_name,
        dependant.security_scopes_param_name,
        dependant.http_connection_param_name,
    )
    if any(unknown):
        return None
    arguments: dict[str, Argument] = {}
    for dependency in dependant.dependencies:
        known = _KNOWN_DEPENDENCIES.get(dependency.call)
        # Without a name its value is not wanted, only what it does.
        if known is None or dependency.name is None:
            return None
        arguments[dependency.name] = known
    for header in dependant.header_params:
        if header.alias != KEY_HEADER:
            return None
        arguments[header.name] = _key
    return arguments


def _key(request: Request) -> str | None:
    return request.headers.get(KEY_HEADER)


def _validated(model: type[BaseModel], value: Any) -> BaseModel:
    if value is None:
        raise RequestValidationError([{"type": "missing", "loc": ("body",), "msg": "Field required"}])
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]
        raise RequestValidationError(faults) from None
