"""What the sync service does with its events: one record written each."""

from waybill_contracts.kinds.syncs import SyncRequested
from waybill_contracts.kinds.users import UserCreated
from waybill_sync.client import SyncAnswer, SyncClient
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.running_handlers import uncancellable

#: What a handler leaves in the task's record.
Result = dict[str, str | int | None]

#: Under this resource a target keeps the application's users.
USERS_RESOURCE = "users"


async def sync_record(event: SyncRequested, attempt: Attempt, client: SyncClient) -> Result:
    """Write a record to the target that the caller named.

    Returns:
        `target`, `status` (2xx) and `location` (the record's address there, or None).

    Raises:
        HandlerError: as `SyncClient.put` says.
    """
    # Once sent it may be written, whatever we do: it is seen through, and the record says what came of it.
    answer = await uncancellable(
        client.put(event.target, event.resource, event.id, event.data, attempt.effect_key)
    )
    return _result(event.target, answer)


async def sync_user(event: UserCreated, attempt: Attempt, client: SyncClient, target: str) -> Result:
    """Write a new user to the configured target.

    Args:
        event: the user.
        attempt: the attempt that this is.
        client: writes the record.
        target: the name of the target that keeps users.

    Returns, raises:
        As `sync_record`.
    """
    data = {"email": event.email, "name": event.name, "attributes": event.attributes}
    answer = await uncancellable(client.put(target, USERS_RESOURCE, event.user_id, data, attempt.effect_key))
    return _result(target, answer)


def _result(target: str, answer: SyncAnswer) -> Result:
    return {"target": target, "status": answer.status, "location": answer.location}
