"""Handlers of the sync service: each writes one record."""

from typing import Any, NamedTuple

from waybill import Attempt
from waybill_contracts.kinds import SyncRequested, UserCreated
from waybill_sync.client import SyncClient

#: Stored as the result of the subtask.
Result = dict[str, str | int | None]

#: The resource of users in a target.
USERS_RESOURCE = "users"


class Targets(NamedTuple):
    """What the handlers use: the client of all targets, and the name of the target for users."""

    client: SyncClient
    of_users: str


async def sync_record(event: SyncRequested, attempt: Attempt, targets: Targets) -> Result:
    """Write a record to the target that the event names.

    Returns:
        `target`, `status` (2xx) and `location` (the record's address there, or None).

    Raises:
        HandlerError: see `SyncClient.put`.
    """
    return await _put(targets.client, event.target, event.resource, event.id, event.data, attempt)


async def sync_user(event: UserCreated, attempt: Attempt, targets: Targets) -> Result:
    """Write a new user to the configured target; returns and raises as `sync_record`."""
    data = {"email": event.email, "name": event.name, "attributes": event.attributes}
    return await _put(targets.client, targets.of_users, USERS_RESOURCE, event.user_id, data, attempt)


async def _put(
    client: SyncClient, target: str, resource: str, id_: str, data: dict[str, Any], attempt: Attempt
) -> Result:
    # Once sent, it may be written: so it is completed, and the task records the outcome.
    answer = await attempt.irrevocably(client.put(target, resource, id_, data, attempt.effect_key))
    return {"target": target, "status": answer.status, "location": answer.location}
