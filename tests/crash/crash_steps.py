"""Which functions are the steps of which process, and how gates are put around them."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from importlib import import_module
from pkgutil import resolve_name
from typing import Any

from crash_gate import Gate, around

_PIPELINE = {
    "claim": "chassis.inbox:Inbox.claim",
    "record": "chassis.inbox:Inbox.record",
    "report": "chassis.reporter:Reporter.confirm",
    "ack": "chassis.consumer:_Acknowledger.ack",
}
#: For each module its steps, and the function of each as the code that calls it finds it.
STEPS: dict[str, dict[str, str]] = {
    "gateway": {"publish": "gateway.resources:relay"},
    "status_service": {
        "apply": "status_service.app:apply_lifecycle",
        "sweep": "status_service.sweeper:relay_all",
    },
    "sync_service": _PIPELINE | {"effect": "sync_service.client:SyncClient.put"},
    "email_service": _PIPELINE | {"effect": "aiosmtplib:SMTP.data"},
    "images_service": _PIPELINE | {"effect": "images_service.app:make_variants"},
}
#: Steps that are writes to the ledger, by the name of the write.
_WRITES = {"accept": "accept", "forget_published": "mark", "take_due": "release"}
#: Instead of 60 s: for how long a sweep that died keeps its rows from the next one.
TAKEN_FOR = timedelta(seconds=5)
#: Instead of 15 s: how long a write waits for a locked SQLite file. Short enough that it really fails.
BUSY_SECONDS = 1


def install(gate: Gate, module: str) -> None:
    """Puts gates around the steps of `module`, in this process."""
    for step, place in STEPS[module].items():
        _wrap(gate, place, partial(_always, step))
    if module in {"gateway", "status_service"}:
        _wrap(gate, "database:Records.write", _step_of_write)
    else:
        _wrap(gate, "chassis.publisher:Publisher.publish", _step_of_publish)


def shorten_waits() -> None:
    """Makes short what a crash test would only sit through: constants, because nobody needs to tune them."""
    _replace("database.engine", "SQLITE_BUSY_TIMEOUT", BUSY_SECONDS)
    _replace("status_service.sweeper", "TAKEN_FOR", TAKEN_FOR)


def _replace(module_name: str, name: str, value: object) -> None:
    module = import_module(module_name)
    if not hasattr(module, name):
        raise AttributeError(f"{module_name} has no {name} any more: the crash matrix must follow")
    setattr(module, name, value)


def _wrap(gate: Gate, place: str, step_of: Callable[..., str | None]) -> None:
    module_name, _, path = place.partition(":")
    owner_path, _, name = path.rpartition(".")
    owner = resolve_name(f"{module_name}:{owner_path}")
    setattr(owner, name, around(gate, step_of, getattr(owner, name)))


def _always(step: str, *_args: Any, **_kwargs: Any) -> str:
    return step


def _step_of_write(_records: Any, write: Any, _item: Any) -> str | None:
    return _WRITES.get(getattr(write, "__name__", ""))


def _step_of_publish(_publisher: Any, message: Any) -> str | None:
    if message.exchange.startswith("delay."):
        return "retry"
    return "dead-letter" if message.exchange == "dlx" else None
