"""Which functions are the steps of which process, and how gates are put around them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tests.crash.gates.gate import Gate, around, around_each
from tests.crash.gates.places import follow, owner_of
from waybill.outbox.relay import LeaseLimits
from waybill_contracts.wire.names import EXCHANGE_CONTROL, EXCHANGE_DEAD_LETTERS

#: Returns the step of a call from its arguments; None: none to stop at.
StepOf = Callable[..., str | None]


def _always(step: str) -> StepOf:
    return lambda *_args, **_kwargs: step


def _step_of_write(_records: Any, write: Any, _item: Any, **_how: Any) -> str | None:
    return WRITES.get(getattr(write, "__name__", ""))


def _step_of_relay(_publisher: Any, message: Any) -> str:
    return "announce" if message.exchange == EXCHANGE_CONTROL else "publish"


def _step_of_publish(_publisher: Any, message: Any) -> str | None:
    if message.exchange.startswith("delay."):
        return "retry"
    return "dead-letter" if message.exchange == EXCHANGE_DEAD_LETTERS else None


#: Steps that are writes to the ledger, by the name of the write.
WRITES = {
    "accept": "accept",
    "accept_together": "accept",
    "cancel": "cancel",
    "delete_published": "mark",
    "take_due": "release",
    "apply_manifests": "register",
    "confirm_declared": "confirm",
}
_PIPELINE: dict[str, StepOf] = {
    "waybill_worker.inbox.inbox:Inbox.claim": _always("claim"),
    "waybill_worker.inbox.inbox:Inbox.record": _always("record"),
    "waybill_worker.attempt.attempt:Attempt.progress": _always("progress"),
    "waybill_worker.inbox.inbox:Inbox.cancel": _always("remember"),
    "waybill_worker.publish.reporter:Reporter.emit_and_wait": _always("report"),
    "waybill_worker.consume.consumer:Acknowledgement.ack": _always("ack"),
    "waybill_worker.consume.control:Control.consume": _always("stop"),
    "waybill_worker.publish.publisher:Publisher.publish": _step_of_publish,
}
#: For each module the functions that are its steps, each as the code that calls it finds it.
STEPS: dict[str, dict[str, StepOf]] = {
    "waybill_gateway": {
        "waybill_database:Records.write": _step_of_write,
        "waybill_database:Records.write_apart": _step_of_write,
    },
    "waybill_status": {
        "waybill_status.app:apply_lifecycle": _always("apply"),
        "waybill_status.outbox.publication:relay_all": _always("sweep"),
        "waybill_status.upkeep.declarer:Declarer._refusal": _always("declare"),
        "waybill_database:Records.write": _step_of_write,
    },
    "waybill_sync": _PIPELINE | {"waybill_sync.client:SyncClient.put": _always("effect")},
    "waybill_email": _PIPELINE | {"waybill_email.mailer:send_content": _always("effect")},
    "waybill_images": _PIPELINE
    | {"waybill_worker.files.attempt_files:AttemptFiles.write": _always("effect")},
    # `waybill run`, and with it the services of the team.
    "waybill_cli": _PIPELINE
    | {
        "waybill_cli.session:Gateway.put": _always("enrol"),
        "waybill_worker.inbox:KeptMessages.keep": _always("keep"),
        "waybill_worker.inbox:KeptMessages.delete": _always("forget"),
        "tests.crash.team.kinds:Crm.write": _always("effect"),
        # `waybill relay`.
        "waybill.outbox.relay.poster:Poster.post": _always("post"),
        "waybill.outbox.relay.leases:Leases.delete": _always("remove"),
    },
    "tests.crash.outbox": {"tests.crash.outbox.shop:commit": _always("commit")},
}
#: Functions that publish many messages, of which each is a step.
EACH_STEPS: dict[str, dict[str, Callable[..., str]]] = {
    "waybill_gateway": {"waybill_gateway.runtime.task_relay:relay_each": _step_of_relay},
}
#: For how long other relays leave the rows of one that died alone.
RELAY_LEASE = timedelta(seconds=3)
#: Constants that are shortened: no installation tunes them, and a crash test would only sit through
#: them: for how long a sweep or a relay that died keeps its rows from the next one (60 s), and how many
#: seconds a write waits for a locked SQLite file (15, a relay's 5), which must be short enough that it fails.
SHORTER: dict[str, object] = {
    "waybill_status.outbox.outbox_relay:TAKEN_FOR": timedelta(seconds=5),
    "waybill_database.engine:SQLITE_BUSY_TIMEOUT": 1,
    "waybill.outbox.relay.database:_BUSY_SECONDS": 1,
    "waybill.commands.relay:limits_for": lambda _keys_kept_days: LeaseLimits(lease=RELAY_LEASE),
}


def install(gate: Gate, module: str) -> None:
    """Puts gates around the steps of `module`, in this process."""
    for place, step_of in STEPS[module].items():
        _put(place, around(gate, step_of, follow(place)))
    for place, step_of_each in EACH_STEPS.get(module, {}).items():
        _put(place, around_each(gate, step_of_each, follow(place)))


def shorten_waits() -> None:
    """Makes the constants short, in this process."""
    for place, value in SHORTER.items():
        _put(place, value)


def _put(place: str, value: object) -> None:
    owner, name = owner_of(place)
    setattr(owner, name, value)
