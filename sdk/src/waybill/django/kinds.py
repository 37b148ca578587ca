"""The kinds of a Django project: one for each queue, whose tasks say which function they run."""

from functools import cache
from typing import Annotated, Any, Final

from pydantic import Field, create_model

from waybill import Event, Sensitive

DEFAULT_QUEUE: Final = "default"
#: After the name of the service.
_CALL: Final = "call"


class FunctionCall(Event):
    """A call of a function with @task."""

    #: Dotted path of the function.
    path: Annotated[str, Field(max_length=500)]
    #: What is in them is not known: it may be about people.
    args: Annotated[list[Any], Sensitive] = Field(default_factory=list)
    kwargs: Annotated[dict[str, Any], Sensitive] = Field(default_factory=dict)


def service_of(project: str, queue: str) -> str:
    """Name of the service that works on a queue: that of the project, for the default queue."""
    return project if queue == DEFAULT_QUEUE else f"{project}-{queue}".replace("_", "-").lower()


def is_of(project: str, kind: str) -> bool:
    """Whether a kind is one of a project."""
    service, _, rest = kind.rpartition(".")
    return rest == _CALL and (service == project or service.startswith(f"{project}-"))


@cache
def event_of(service: str) -> type[FunctionCall]:
    """The event of the tasks of a service."""
    made: type[FunctionCall] = create_model(
        "FunctionCall",
        __base__=FunctionCall,
        __doc__=FunctionCall.__doc__,
        __cls_kwargs__={"kind": f"{service}.{_CALL}", "about": "{path}"},
    )
    return made
