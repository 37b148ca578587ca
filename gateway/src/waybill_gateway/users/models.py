"""Requests for new users."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict

from waybill_contracts.events import Sensitive
from waybill_contracts.kinds import AcceptedAddress, AcceptedName, RecordId, UserCreated
from waybill_gateway.tasks import Timing, shown


class UserFields(BaseModel):
    """A user; `id` is yours; if absent, it is the id of the task."""

    model_config = ConfigDict(extra="forbid")

    id: RecordId | None = None
    email: AcceptedAddress
    name: Annotated[AcceptedName, Sensitive]
    attributes: Annotated[dict[str, Any], UserCreated.model_fields["attributes"]]


class PostUser(UserFields, Timing):
    """A new user; `id` is yours; if absent, it is the id of the task."""

    model_config = shown(
        {"id": "ada-1", "email": "ada@example.com", "name": "Ada Lovelace", "attributes": {"plan": "team"}}
    )
