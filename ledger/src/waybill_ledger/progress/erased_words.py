"""What an erased task keeps of what others have said of it: what happened, and not the words."""

from typing import Any, Final

from waybill_contracts.wire.lifecycle import ErrorInfo, LifecycleEvent

#: In the place of words that are gone.
ERASED: Final = "[erased]"


def without_words(said: dict[str, Any]) -> dict[str, Any]:
    """Details of a lifecycle event without its result, and with nothing of an error but its type."""
    kept = {name: value for name, value in said.items() if name != "result"}
    return kept | {"error": erased_error(said["error"])} if said.get("error") else kept


def erased_error(error: dict[str, Any]) -> dict[str, Any]:
    """An error without its words."""
    return {"type": error.get("type", ""), "message": ERASED}


def erased_event(event: LifecycleEvent) -> LifecycleEvent:
    """A lifecycle event that comes late, as an erased task's timeline may keep it."""
    data = event.data
    error = None if data.error is None else ErrorInfo(type=data.error.type, message=ERASED)
    return event.model_copy(update={"data": data.model_copy(update={"result": None, "error": error})})
