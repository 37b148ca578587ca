"""The handler, without a broker and without a store."""

import pytest
from waybill import PermanentError
from waybill.kinds import EmailRequested
from waybill.testing import run_handler

from invoices import service
from invoices.events import InvoiceRequested, Item
from invoices.settings import InvoiceSettings, Sender, sender

SHOP = Sender("Tea & Co", "https://tea.example.com/invoices/{task_id}")
REQUESTED = InvoiceRequested(
    order_id="17",
    email="ann@example.com",
    items=(Item(text="Tea <green>", count=3, price="4.20"), Item(text="A pot", price="19.90")),
)


async def test_an_invoice_is_rendered_and_a_mail_links_to_it() -> None:
    run = await run_handler(service, REQUESTED, resources=SHOP)

    assert run.files["invoice.pdf"].startswith(b"%PDF-")
    assert [report.share for report in run.progress] == [0.5]
    (mail,) = run.spawned
    assert run.result["total"] == "32.50"
    assert run.result["mail"] == mail.id
    assert isinstance(mail.event, EmailRequested)
    assert mail.event.to == "ann@example.com"
    assert f"https://tea.example.com/invoices/{run.attempt.task_id}." in str(mail.event.text)


async def test_a_repeat_makes_an_equal_file() -> None:
    runs = [await run_handler(service, REQUESTED, resources=SHOP, attempt=n) for n in (1, 2)]

    assert runs[0].files == runs[1].files


async def test_an_order_that_costs_nothing_is_given_up_at_once() -> None:
    free = REQUESTED.model_copy(update={"items": (Item(text="A sample", price="0.00"),)})

    with pytest.raises(PermanentError, match="order 17 costs nothing"):
        await run_handler(service, free, resources=SHOP)


async def test_a_link_without_the_task_is_refused_at_the_start() -> None:
    settings = InvoiceSettings(inbox_url="sqlite:///inbox.db", invoice_link="https://example.com/")

    with pytest.raises(ValueError, match="WAYBILL_INVOICE_LINK must contain {task_id}"):
        async with sender(settings):
            pass
