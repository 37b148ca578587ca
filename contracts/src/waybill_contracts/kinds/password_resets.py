"""Links to set a new password: `password_reset.requested`."""

from typing import Annotated

from pydantic import AwareDatetime, Field

from waybill_contracts.kinds.fields import Link, MailAddress
from waybill_contracts.kinds.task_event import SECRET, Sensitive, TaskEvent


class PasswordResetRequested(TaskEvent):
    """A reset link to be mailed. It contains the token, of which only the hash is stored."""

    KIND = "password_reset.requested"

    email: Annotated[MailAddress, Sensitive]
    link: Annotated[Link, Field(json_schema_extra=SECRET)]
    expires_at: AwareDatetime

    @property
    def person(self) -> str:
        """The owner of the password."""
        return self.email
