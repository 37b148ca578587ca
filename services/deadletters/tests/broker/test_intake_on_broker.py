"""The failure desk takes in the letters of each registered service, also of one that is new."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from waybill_contracts.events import Event
from waybill_contracts.registry import HandledKind, Manifest
from waybill_database import Records
from waybill_deadletters.app import Desk
from waybill_deadletters.settings import DeskSettings
from waybill_ledger import new_task_id
from waybill_ledger.deadletters.intake import DeadMessage
from waybill_ledger.deadletters.letters.queries import LetterFilter, list_letters
from waybill_ledger.registry import ApplyManifest, apply_manifests, load_registry
from waybill_testkit.eventually import eventually
from waybill_testkit.samples import dead_message, sync_event
from waybill_testkit.wire import Wire
from waybill_worker.broker import topology


class InvoiceRequested(Event, kind="invoice.requested"):
    """An invoice to render."""

    order_id: str


def stated() -> Manifest:
    data = InvoiceRequested.model_json_schema()
    handled = HandledKind(kind=InvoiceRequested.KIND, reads=(1,), data=data)
    return Manifest(service="invoices", release="1", handles=(handled,))


@asynccontextmanager
async def running(amqp_url: str, ledger_url: str) -> AsyncIterator[Desk]:
    desk = Desk(DeskSettings(amqp_url=amqp_url, ledger_url=ledger_url, grace_seconds=2))
    await desk.start()
    try:
        yield desk
    finally:
        await desk.stop()


async def dead(wire: Wire, message: DeadMessage) -> None:
    await wire.put("dlx", message.queue, message.body, message.headers)


async def services_of_letters(records: Records) -> list[str]:
    query = partial(list_letters, wanted=LetterFilter(), limit=100, cursor=None)
    return sorted(letter["service"] for letter in (await records.read(query)).letters)


async def test_a_new_services_letters_are_taken_in_once_its_queue_is_there(
    topology_url: str, ledger_url: str, wire: Wire, records: Records
) -> None:
    async def are_of(*services: str) -> bool:
        return await services_of_letters(records) == list(services)

    async with running(topology_url, ledger_url):
        await records.write(apply_manifests, ApplyManifest(stated(), datetime.now(UTC), "ann"))
        # Its queue is not there yet, and nobody else waits for it.
        await dead(wire, dead_message(sync_event(), new_task_id()))
        await eventually(partial(are_of, "sync"))
        await topology.declare(wire.channel, await records.read(load_registry))
        invoice = InvoiceRequested(order_id="7")
        await dead(wire, dead_message(invoice, new_task_id(), service="invoices"))
        await eventually(partial(are_of, "invoices", "sync"))

    assert await wire.ready("invoices.dlq") == 0


async def test_what_was_in_the_queue_of_a_service_comes_in_at_the_next_start(
    topology_url: str, ledger_url: str, wire: Wire, records: Records
) -> None:
    await records.write(apply_manifests, ApplyManifest(stated(), datetime.now(UTC), "ann"))
    await topology.declare(wire.channel, await records.read(load_registry))
    task_id = new_task_id()
    # Its queue was missing when it died: it came to `unrouted`, and still belongs to its service.
    astray = dead_message(InvoiceRequested(order_id="7"), task_id, service="invoices")
    await wire.put("", "unrouted", astray.body, astray.headers)
    await dead(wire, dead_message(InvoiceRequested(order_id="7"), task_id, service="invoices"))
    await dead(wire, dead_message(InvoiceRequested(order_id="8"), new_task_id(), service="invoices"))

    async def are_in() -> bool:
        return await services_of_letters(records) == ["invoices", "invoices"]

    async with running(topology_url, ledger_url):
        await eventually(are_in)
        await eventually(partial(_is_empty, wire, "unrouted"))
        assert await are_in()


async def _is_empty(wire: Wire, queue: str) -> bool:
    return await wire.ready(queue) == 0
