"""What is done for each kind."""

import asyncio

from waybill import Attempt, PermanentError
from waybill.kinds import EmailRequested

from invoices.events import InvoiceRequested
from invoices.pdf import total_of, written_pdf
from invoices.settings import Sender


async def render(event: InvoiceRequested, attempt: Attempt, sender: Sender) -> dict[str, object]:
    """Renders the invoice as a file of the task, and asks for a mail with a link to it.

    The mail is accepted together with the outcome of this attempt: no invoice without its mail, and no mail
    about an invoice that could not be rendered.
    """
    total = total_of(event)
    if not total:
        raise PermanentError(f"order {event.order_id} costs nothing: there is nothing to invoice")
    pdf = await asyncio.to_thread(written_pdf, event, sender.name)
    await attempt.progress(0.5, "rendered")
    await attempt.files.write("invoice.pdf", pdf, content_type="application/pdf")
    mail = EmailRequested(
        to=event.email,
        subject=f"Your invoice for order {event.order_id}",
        text=f"Thank you for your order. Your invoice is at {sender.link_to(attempt.task_id)}.",
    )
    return {"total": str(total), "mail": attempt.submit(mail)}
