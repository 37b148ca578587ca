"""The service on a real broker and a real ledger; skipped where there is no RabbitMQ to be had."""

from waybill.testing import Stack

from invoices import service
from invoices.events import InvoiceRequested, Item

REQUESTED = InvoiceRequested(
    order_id="17", email="ann@example.com", items=(Item(text="A pot", price="19.90"),)
)


async def test_the_task_has_the_file_and_the_mail_is_accepted(waybill_stack: Stack) -> None:
    async with waybill_stack.running(service):
        task = await waybill_stack.submit(REQUESTED)
        done = await waybill_stack.ended(task)

    assert done["state"] == "completed"
    file = await waybill_stack.call("GET", f"/v1/tasks/{task}/files/invoice.pdf")
    assert file.headers["content-type"] == "application/pdf"
    assert file.content.startswith(b"%PDF-")
    mail = await waybill_stack.get(f"/v1/tasks/{done['subtasks'][0]['result']['mail']}")
    assert (mail["kind"], mail["parent"]["id"]) == ("email.requested", task)
