"""Results and errors of erased tasks: the facts stay, the words go."""

from typing import Any, Final

from waybill_contracts.wire import ErrorInfo, LifecycleEvent

#: Stands for erased words.
ERASED: Final = "[erased]"


def without_words(details: dict[str, Any]) -> dict[str, Any]:
    """Details of a lifecycle event without the result, and with only the type of the error."""
    kept = {name: value for name, value in details.items() if name != "result"}
    return kept | {"error": erased_error(details["error"])} if details.get("error") else kept


def erased_error(error: dict[str, Any]) -> dict[str, Any]:
    """An error without its message."""
    return {"type": error.get("type", ""), "message": ERASED}


def erased_event(event: LifecycleEvent) -> LifecycleEvent:
    """A late lifecycle event, as the timeline of an erased task may keep it."""
    data = event.data
    error = None if data.error is None else ErrorInfo(type=data.error.type, message=ERASED)
    return event.model_copy(update={"data": data.model_copy(update={"result": None, "error": error})})
