"""Handlers of the sync service: each writes one record."""

from waybill_contracts.kinds import SyncRequested, UserCreated
from waybill_sync.client import SyncAnswer, SyncClient
from waybill_worker.attempt import Attempt
from waybill_worker.limits import uncancellable

#: Stored as the result of the subtask.
Result = dict[str, str | int | None]

#: The resource of users in a target.
USERS_RESOURCE = "users"


async def sync_record(event: SyncRequested, attempt: Attempt, client: SyncClient) -> Result:
    """Write a record to the target that the event names.

    Returns:
        `target`, `status` (2xx) and `location` (the record's address there, or None).

    Raises:
        HandlerError: see `SyncClient.put`.
    """
    # Once sent, it may be written: so it is completed, and the task records the outcome.
    answer = await uncancellable(
        client.put(event.target, event.resource, event.id, event.data, attempt.effect_key)
    )
    return _result(event.target, answer)


async def sync_user(event: UserCreated, attempt: Attempt, client: SyncClient, target: str) -> Result:
    """Write a new user to the configured target.

    Args:
        event: the user.
        attempt: this attempt.
        client: writes the record.
        target: name of the target for users.

    Returns, raises:
        See `sync_record`.
    """
    data = {"email": event.email, "name": event.name, "attributes": event.attributes}
    answer = await uncancellable(client.put(target, USERS_RESOURCE, event.user_id, data, attempt.effect_key))
    return _result(target, answer)


def _result(target: str, answer: SyncAnswer) -> Result:
    return {"target": target, "status": answer.status, "location": answer.location}
