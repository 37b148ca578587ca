"""New users of the application: `user.created`."""

from typing import Annotated, Any

from pydantic import Field

from waybill_contracts.events import SENSITIVE, Event, Person, Sensitive, TaskId
from waybill_contracts.kinds.fields import MAX_RECORD_FIELDS, MailAddress, PersonName, RecordId


class UserCreated(Event, kind="user.created"):
    """A new user of the application, who gets a welcome mail and a record in the configured target."""

    user_id: Annotated[RecordId, TaskId]
    email: Annotated[MailAddress, Sensitive, Person]
    name: Annotated[PersonName, Sensitive]
    attributes: dict[str, Any] = Field(
        default_factory=dict, max_length=MAX_RECORD_FIELDS, json_schema_extra=SENSITIVE
    )
