"""Records for external systems: `sync.requested`."""

from typing import Annotated, Any

from pydantic import Field

from waybill_contracts.kinds.fields import MAX_RECORD_FIELDS, RecordId, ResourceName, TargetName
from waybill_contracts.kinds.task_event import SENSITIVE, TaskEvent


class SyncRequested(TaskEvent):
    """A record to be written to a configured external system."""

    KIND = "sync.requested"

    target: TargetName
    resource: ResourceName
    id: RecordId
    data: Annotated[dict[str, Any], Field(max_length=MAX_RECORD_FIELDS, json_schema_extra=SENSITIVE)]
