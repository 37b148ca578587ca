"""The kinds of work that come with Waybill, for services that submit or handle them.

    from waybill.kinds import EmailRequested

    attempt.submit(EmailRequested(to=event.email, subject="Your invoice", text=f"It is at {link}."))

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
