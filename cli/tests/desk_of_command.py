"""Dead letters on the desk of a gateway that is served."""

from typing import Any

from sqlalchemy import select

from waybill_contracts.privacy.seal import Keyring
from waybill_contracts.wire.lifecycle import DeadReason, ErrorInfo, LifecycleType
from waybill_ledger.deadletters.intake.intake import take_in
from waybill_ledger.deadletters.intake.letter import letter_of
from waybill_ledger.schema.tables import TASKS
from waybill_testkit.gateway.served import Served
from waybill_testkit.samples import dead_message, gate_of, reported, sync_event

SYNC = {"target": "crm", "resource": "contacts", "id": "7", "data": {"name": "Ann"}}
ERROR = ErrorInfo(type="TransientError", message="crm answered 503")
UNFIT: dict[str, Any] = {"body": b'{"target": "crm"}', "reason": DeadReason.UNREADABLE}


def dead(gateway: Served, count: int = 1, **message: Any) -> list[str]:
    """Tasks that have failed for good, and whose letters are in the desk."""
    tasks = [gateway.post("/v1/syncs", SYNC) for _ in range(count)]
    letters = [
        letter_of(dead_message(sync_event(), task, **{"error": ERROR} | message), gate=gate_of())
        for task in tasks
    ]
    gateway.write(lambda connection: take_in(connection, letters))
    gateway.happened(
        *(
            reported(LifecycleType.DEAD, task, service="sync", kind="sync.requested", attempt=4)
            for task in tasks
        )
    )
    return tasks


def dead_and_sealed(gateway: Served, keyring: Keyring, body: dict[str, Any] = SYNC) -> str:
    """The same of one task, whose letter is sealed as the gateway has sealed it."""
    task = gateway.post("/v1/syncs", body)
    payloads: list[bytes] = []
    find = select(TASKS.c.payload).where(TASKS.c.id == task)
    gateway.write(lambda connection: payloads.append(connection.execute(find).scalar_one()))
    message = dead_message(sync_event(), task, error=ERROR, body=payloads[0])
    gateway.write(lambda connection: take_in(connection, [letter_of(message, gate=gate_of(keyring))]))
    gateway.happened(reported(LifecycleType.DEAD, task, service="sync", kind="sync.requested", attempt=4))
    return task
