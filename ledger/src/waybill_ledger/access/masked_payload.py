"""The payload of a task as anybody may see it who may see the task: without what is sensitive."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection

from waybill_contracts.registry import Registry
from waybill_ledger.access.redaction import redacted_payload
from waybill_ledger.access.reveals import OfTask


@dataclass(frozen=True, slots=True)
class MaskedPayload:
    """A payload without its sensitive values."""

    #: The contract and version that it follows; None: it is not kept any more.
    dataschema: str | None
    payload: Any
    erased_at: datetime | None


def masked_payload(
    connection: Connection, task_id: str, *, registry: Registry, tenant: str | None = None
) -> MaskedPayload | None:
    """The payload of a task, as it was accepted; None: no such task, or of another tenant."""
    held = OfTask(task_id).find(connection, tenant)
    if held is None:
        return None
    own = held.bodies.get("payload")
    if own is None:
        return MaskedPayload(None, None, held.erased_at)
    return MaskedPayload(
        own.dataschema, redacted_payload(from_json(own.body), registry.sensitive(own.kind)), held.erased_at
    )
