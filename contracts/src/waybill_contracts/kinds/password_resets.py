"""Links to set a new password: `password_reset.requested`."""

from typing import Annotated

from pydantic import AwareDatetime

from waybill_contracts.events import Event, Person, Secret, Sensitive
from waybill_contracts.kinds.fields import Link, MailAddress


class PasswordResetRequested(Event, kind="password_reset.requested"):
    """A reset link to be mailed. It contains the token, of which only the hash is stored."""

    email: Annotated[MailAddress, Sensitive, Person]
    link: Annotated[Link, Secret]
    expires_at: AwareDatetime
