"""The kinds of work that come with Waybill, for services that submit or handle them.

    from waybill.kinds import EmailRequested, ImageUploaded, PasswordResetRequested
    from waybill.kinds import SyncRequested, UserCreated

    client.submit(EmailRequested(to="ann@example.com", subject="Hello", text="Good morning."))
    client.submit(SyncRequested(target="crm", resource="orders", id="7", data={"total": 12}))
    client.submit(UserCreated(user_id="7", email="ann@example.com", name="Ann"))

    @service.handles(ImageUploaded)
    async def recognise(event: ImageUploaded, attempt: Attempt) -> dict[str, object]:
        return {"pixels": event.width * event.height}

    @service.handles(PasswordResetRequested)
    async def warn(event: PasswordResetRequested, attempt: Attempt) -> None:
        attempt.submit(EmailRequested(to=event.email, subject="A reset was asked for", text="Was that you?"))

A service that handles one of them too gets a subtask of its own in each task of the kind.
"""

from waybill_contracts.kinds import (
    EmailRequested,
    ImageUploaded,
    PasswordResetRequested,
    SyncRequested,
    UserCreated,
)

__all__ = ["EmailRequested", "ImageUploaded", "PasswordResetRequested", "SyncRequested", "UserCreated"]
