"""What the status service tells Prometheus, on the real broker and on both databases."""

from datetime import UTC, datetime

import httpx
from aio_pika import DeliveryMode, Message

from waybill_contracts.wire.lifecycle import LIFECYCLE_BATCH, LifecycleType
from waybill_contracts.wire.names import EXCHANGE_EVENTS
from waybill_database import Records
from waybill_ledger import Submission, accept
from waybill_status.app import StatusService
from waybill_status.settings import StatusSettings
from waybill_testkit.eventually import eventually
from waybill_testkit.exposition import values
from waybill_testkit.machine.ports import free_ports
from waybill_testkit.samples import new_task, reported
from waybill_testkit.wire import Wire

#: The measurer pauses nine times as long as it measured. Looks at /metrics take time from it, in one process:
#: without a pause between them they made it measure for seconds.
BETWEEN_LOOKS, PATIENCE = 0.25, 120.0


async def test_ledger_outbox_and_queues_are_told(topology_url: str, ledger_url: str, wire: Wire) -> None:
    (port,) = free_ports(1)
    settings = StatusSettings(
        amqp_url=topology_url,
        ledger_url=ledger_url,
        health_port=port,
        measure_seconds=0.2,
        ops_address="ops@example.com",
    )
    task = new_task(created_at=datetime.now(UTC))
    records = Records(ledger_url)
    await records.write(accept, Submission(task))
    service = StatusService(settings)
    await service.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:

            async def sample(name: str, *labels: str) -> float | None:
                return values((await client.get("/metrics")).text, name).get(labels)

            async def waits_in_email_work() -> bool:
                return await sample("waybill_queue_messages", "email.work") == 1

            await eventually(waits_in_email_work, PATIENCE, every=BETWEEN_LOOKS)  # the sweep has published it
            assert await sample("waybill_subtasks", "email", "pending") == 1
            assert await sample("waybill_oldest_pending_seconds", "email") != 0
            assert await sample("waybill_queue_consumers", "status.work") == 1

            events = [reported(LifecycleType.STARTED, task.id), reported(LifecycleType.DEAD, task.id)]
            exchange = await wire.channel.get_exchange(EXCHANGE_EVENTS, ensure=False)
            body = LIFECYCLE_BATCH.dump_json(events, exclude_none=True)
            message = Message(body, message_id="1", delivery_mode=DeliveryMode.PERSISTENT)
            await exchange.publish(message, "task.started")

            async def is_told() -> bool:
                return await sample("waybill_pickup_seconds_count", "email") == 1

            await eventually(is_told, PATIENCE, every=BETWEEN_LOOKS)

            async def the_alert_is_published() -> bool:
                # More, where a measurement takes a minute: what nobody consumes is published again.
                return (await sample("waybill_queue_messages", "email.work") or 0) >= 2

            await eventually(the_alert_is_published, PATIENCE, every=BETWEEN_LOOKS)
            assert await sample("waybill_accounting_gap") == 0

            async def the_outbox_is_empty() -> bool:
                # Its row goes after the broker has the message, which a look may fall between.
                return await sample("waybill_outbox_tasks") == 0

            await eventually(the_outbox_is_empty, PATIENCE, every=BETWEEN_LOOKS)
    finally:
        await service.stop()
        await records.close()
