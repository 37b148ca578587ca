"""The functions that are called later: `waybill run teashop.tasks:service`."""

import re
from typing import Annotated

from waybill import Attempt, PermanentError, Person, Sensitive, Service
from waybill.kinds import EmailRequested

__all__ = ["close_month", "confirm", "service"]

service = Service("teashop")
service.emits(EmailRequested)


@service.task(attempts=5)
async def confirm(
    attempt: Attempt, order: str, email: Annotated[str, Sensitive, Person]
) -> dict[str, object]:
    """Confirms an order by mail: no mail without this task, and no task without the mail."""
    mail = EmailRequested(to=email, subject=f"Order {order}", text="It is on its way.")
    return {"mail": attempt.submit(mail)}


@service.task
def close_month(month: str) -> dict[str, object]:
    """Closes the books of a month."""
    if not re.fullmatch(r"\d{4}-\d{2}", month):
        raise PermanentError(f"{month} is no month")
    return {"closed": month}
