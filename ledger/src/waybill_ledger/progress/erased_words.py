"""Results, errors and progress of erased tasks: the facts stay, the words go."""

from typing import Any, Final

from waybill_contracts.wire import ErrorInfo, LifecycleEvent, ProgressInfo

#: Stands for erased words.
ERASED: Final = "[erased]"


def without_words(details: dict[str, Any]) -> dict[str, Any]:
    """Details of a lifecycle event without the result, the text of progress, and the words of the error."""
    kept = {name: value for name, value in details.items() if name != "result"}
    if details.get("error"):
        kept["error"] = erased_error(details["error"])
    if details.get("progress"):
        kept["progress"] = details["progress"] | {"text": ERASED}
    return kept


def has_words(details: dict[str, Any]) -> bool:
    """Whether `without_words` has something to erase."""
    return not details.keys().isdisjoint(("result", "error", "progress"))


def erased_error(error: dict[str, Any]) -> dict[str, Any]:
    """An error without its message."""
    return {"type": error.get("type", ""), "message": ERASED}


def erased_event(event: LifecycleEvent) -> LifecycleEvent:
    """A late lifecycle event, as the timeline of an erased task may keep it."""
    data = event.data
    error = None if data.error is None else ErrorInfo(type=data.error.type, message=ERASED)
    progress = None if data.progress is None else ProgressInfo(share=data.progress.share, text=ERASED)
    # What an erased task spawns would be about the erased person.
    kept = {"result": None, "error": error, "progress": progress, "spawned": None}
    return event.model_copy(update={"data": data.model_copy(update=kept)})
