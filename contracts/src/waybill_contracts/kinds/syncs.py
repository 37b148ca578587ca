"""Records for external systems: `sync.requested`."""

from typing import Annotated, Any

from pydantic import Field

from waybill_contracts.events import SENSITIVE, Event
from waybill_contracts.kinds.fields import MAX_RECORD_FIELDS, RecordId, ResourceName, TargetName


class SyncRequested(Event, kind="sync.requested", about="{target}/{resource}/{id}"):
    """A record to be written to a configured external system."""

    target: TargetName
    resource: ResourceName
    id: RecordId
    data: Annotated[dict[str, Any], Field(max_length=MAX_RECORD_FIELDS, json_schema_extra=SENSITIVE)]
