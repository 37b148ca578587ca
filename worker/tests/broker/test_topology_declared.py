from typing import Any
from urllib.parse import quote

import aio_pika
import httpx
import pytest
from aio_pika.exceptions import ChannelPreconditionFailed

from waybill_contracts.registry import built_in_registry
from waybill_testkit.broker import Broker
from waybill_testkit.samples import email_event
from waybill_testkit.wire import Wire
from waybill_worker.broker import topology

SERVICES = ("email", "images", "status", "sync")
QUORUM = {"x-queue-type": "quorum", "x-overflow": "reject-publish"}
AT_LEAST_ONCE = {"x-dead-letter-strategy": "at-least-once"}
WAITING = QUORUM | {"x-delivery-limit": 1_000_000}


def listed(broker: Broker, what: str, vhost: str) -> list[dict[str, Any]]:
    """What the broker itself says that it has."""
    url = f"{broker.management_url}/api/{what}/{quote(vhost)}"
    answer: list[dict[str, Any]] = httpx.get(url, auth=("guest", "guest")).raise_for_status().json()
    return answer


async def declare(url: str) -> None:
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        await topology.declare(channel, built_in_registry())


async def test_declaring_again_is_no_error(topology_url: str) -> None:
    await declare(topology_url)


async def test_every_queue_is_there_durable_and_with_the_designs_arguments(
    broker: Broker, vhost: str, topology_url: str
) -> None:
    assert topology_url.endswith(vhost)
    expected: dict[str, dict[str, Any]] = {"unrouted": WAITING}
    for service in SERVICES:
        consumed = QUORUM | AT_LEAST_ONCE | {"x-delivery-limit": 10, "x-dead-letter-exchange": "dlx"}
        consumed["x-dead-letter-routing-key"] = f"{service}.dlq"
        expected |= {f"{service}.work": consumed, f"{service}.dlq": WAITING}
        if service != "status":  # it has no handlers, so that nobody would take its cancellations
            expected[f"{service}.control"] = consumed
    for level in range(17):
        following = f"delay.{level - 1:02}" if level else "delay.out"
        expected[f"delay.{level:02}"] = (
            WAITING | AT_LEAST_ONCE | {"x-message-ttl": 2**level * 1000, "x-dead-letter-exchange": following}
        )
    queues = {queue["name"]: queue for queue in listed(broker, "queues", vhost)}

    assert {name: queue["arguments"] for name, queue in queues.items()} == expected
    assert all(queue["durable"] and not queue["auto_delete"] for queue in queues.values())


async def test_every_exchange_is_durable_and_tasks_has_no_alternate(
    broker: Broker, vhost: str, topology_url: str
) -> None:
    assert topology_url.endswith(vhost)
    exchanges = {
        exchange["name"]: exchange
        for exchange in listed(broker, "exchanges", vhost)
        if exchange["name"] and not exchange["name"].startswith("amq.")
    }
    alternates = {
        name: exchange["arguments"]["alternate-exchange"]
        for name, exchange in exchanges.items()
        if exchange["arguments"]
    }

    assert all(exchange["durable"] for exchange in exchanges.values())
    assert alternates == {"events": "unrouted", "dlx": "unrouted"}
    assert {"tasks", "cancellations", "delay.out", "delay.00", "delay.16"} <= exchanges.keys()


async def test_other_arguments_on_what_is_there_are_told(vhost_url: str) -> None:
    async with await aio_pika.connect(vhost_url) as connection:
        await (await connection.channel()).declare_queue("email.work", durable=True)
    with pytest.raises(ChannelPreconditionFailed):
        await declare(vhost_url)


async def test_a_user_reaches_both_services_and_a_mail_only_one(wire: Wire) -> None:
    await wire.request(email_event())

    assert (await wire.take("email.work")).routing_key == "email.requested"
    assert [await wire.ready(f"{service}.work") for service in SERVICES] == [0] * 4


async def test_a_cancellation_reaches_its_service_and_piles_up_at_no_other(wire: Wire) -> None:
    await wire.put("cancellations", "email", b"1", {})

    assert (await wire.take("email.control")).body == b"1"
    others = [service for service in SERVICES if service not in {"email", "status"}]
    assert [await wire.ready(f"{service}.control") for service in others] == [0, 0]


async def test_a_lifecycle_event_and_a_dead_letter_that_nobody_wants_are_kept(wire: Wire) -> None:
    await wire.put("events", "strange.event", b"1", {})
    await wire.put("dlx", "gone.dlq", b"2", {})

    assert [(await wire.take("unrouted")).body for _ in range(2)] == [b"1", b"2"]


def test_what_a_service_consumes_is_declared_after_all_that_it_needs() -> None:
    """A service that finds its own queues relies on it that all else is there."""
    parts = list(topology.parts(built_in_registry()))

    assert [part.service for part in parts] == ["", "status", "email", "images", "sync"]
    assert [queue.name for queue in parts[2].queues] == ["email.dlq", "email.control", "email.work"]
