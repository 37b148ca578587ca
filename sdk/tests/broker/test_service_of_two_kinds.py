"""A service that is written on the public API, on a real broker: two kinds, an old version, a task."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from invoice_service import InvoicePaid, InvoiceRequested, InvoiceSettings, remind, service

from waybill_contracts.events import Event
from waybill_contracts.registry import registry_of
from waybill_contracts.wire.envelope import Envelope
from waybill_contracts.wire.lifecycle import LifecycleEvent
from waybill_testkit.samples import envelope_of
from waybill_testkit.wire import Wire
from waybill_worker.broker import topology

SERVICE = "invoices"


@pytest.fixture
async def topology_url(topology_url: str) -> str:
    """With the queues of the service."""
    async with await aio_pika.connect(topology_url) as connection, connection.channel() as channel:
        await topology.declare(channel, registry_of(service.manifest(release="1")))
    return topology_url


@pytest.fixture
async def _running(topology_url: str, tmp_path: Path) -> AsyncIterator[None]:
    settings = InvoiceSettings(
        amqp_url=topology_url,
        inbox_url=f"sqlite:///{tmp_path}/inbox.db",
        shop_name="the corner shop",
        retry_base_seconds=1,
        retry_cap_seconds=1,
    )
    process = service.process(settings)
    await process.start()
    yield
    await process.stop()


async def put(wire: Wire, event: Event, data: str | None = None, **changes: Any) -> Envelope:
    envelope = envelope_of(event, **changes)
    body = data or event.model_dump_json()
    await wire.put("", f"{SERVICE}.work", body.encode(), envelope.to_headers())
    return envelope


async def end_of(wire: Wire, type_: str) -> LifecycleEvent:
    return (await wire.reported(until=type_))[-1]


REQUESTED = InvoiceRequested(order_id="17", email="ann@example.com", currency="CHF")


@pytest.mark.usefixtures("_running")
async def test_each_kind_reaches_its_handler_with_the_resources(wire: Wire) -> None:
    envelope = await put(wire, REQUESTED)
    done = await end_of(wire, "task.completed")
    assert done.data.result == {
        "shop": "the corner shop",
        "key": f"{envelope.task_id}.{SERVICE}",
        "currency": "CHF",
    }
    assert done.data.max_attempts == 5, "as the handler says"

    await put(wire, InvoicePaid(order_id="17"))
    done = await end_of(wire, "task.completed")
    assert done.data.result == {}
    assert (done.data.kind, done.data.max_attempts) == ("invoice.paid", 7)


@pytest.mark.usefixtures("_running")
async def test_a_task_is_called_with_its_arguments(wire: Wire) -> None:
    await put(wire, remind.event("ann@example.com"))

    done = await end_of(wire, "task.completed")
    assert done.data.result == {"shop": "the corner shop", "days": 3, "attempt": 1, "letters": 15}


@pytest.mark.usefixtures("_running")
async def test_an_older_version_is_converted_by_the_upcaster_of_the_service(wire: Wire) -> None:
    await put(
        wire,
        REQUESTED,
        '{"order_id": "16", "email": "ann@example.com"}',
        dataschema="urn:waybill:invoice.requested:v1",
    )

    done = await end_of(wire, "task.completed")
    assert done.data.result is not None
    assert done.data.result["currency"] == "EUR"


@pytest.mark.usefixtures("_running")
async def test_a_snooze_puts_the_attempt_off_and_does_not_count(wire: Wire) -> None:
    await put(wire, REQUESTED.model_copy(update={"order_id": "early"}))

    events = await wire.reported(until="task.completed")
    assert [(event.type.value, event.data.attempt) for event in events] == [
        ("task.started", 1),
        ("task.snoozed", 1),
        ("task.started", 1),
        ("task.completed", 1),
    ]
    assert events[1].data.error is not None
    assert (events[1].data.error.type, events[1].data.error.message) == (
        "Snooze",
        "the order is not closed",
    )


@pytest.mark.usefixtures("_running")
async def test_a_dead_letter_names_the_code_and_release_of_the_service(wire: Wire) -> None:
    await put(wire, REQUESTED.model_copy(update={"order_id": "unknown"}))

    letter = await wire.take(f"{SERVICE}.dlq")
    assert letter.headers["x-error-frame"] == "invoice_service:render"
    assert letter.headers["x-service-version"] == "1.4.2"
    assert letter.headers["x-error-message"] == "there is no order unknown"
