"""Requests for new users."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from waybill_contracts.events import Sensitive
from waybill_contracts.kinds import AcceptedAddress, AcceptedName, RecordId, UserCreated
from waybill_gateway.http import validated
from waybill_gateway.runtime import Resources
from waybill_gateway.tasks import Timing, shown


class UserFields(BaseModel):
    """A user; `id` is yours; if absent, it is the id of the task."""

    model_config = ConfigDict(extra="forbid")

    # Under its name in the contract, too: a schedule is changed from what was shown of it.
    id: RecordId | None = Field(None, validation_alias=AliasChoices("id", "user_id"))
    email: AcceptedAddress
    name: Annotated[AcceptedName, Sensitive]
    attributes: Annotated[dict[str, Any], UserCreated.model_fields["attributes"]]


class PostUser(UserFields, Timing):
    """A new user; `id` is yours; if absent, it is the id of the task."""

    model_config = shown(
        {"id": "ada-1", "email": "ada@example.com", "name": "Ada Lovelace", "attributes": {"plan": "team"}}
    )


def check_user(
    resources: Resources, data: Mapping[str, Any], priority: str, where: Sequence[str]
) -> dict[str, Any]:
    """Checks a user as its own route does: see `DataCheck`."""
    del resources, priority
    user = validated(UserFields, data, where).model_dump(mode="json", exclude_unset=True)
    own_id = user.pop("id", None)
    return user if own_id is None else {"user_id": own_id, **user}
