"""In which order FastStream's hooks, its broker and the other parts of an application start and stop."""

import pytest
from faststream.specification import AsyncAPI

from waybill_testkit.broker import Broker
from waybill_testkit.eventually import eventually
from waybill_worker.application import Application
from waybill_worker.broker import BrokerConnection, Delivery
from waybill_worker.consume import Consumer
from waybill_worker.runtime import Component, Components, ProcessSettings


class Part(Component):
    """Records its start and its stop."""

    def __init__(self, name: str, told: list[str]) -> None:
        self._name = name
        self._told = told

    async def start(self) -> None:
        self._told.append(f"{self._name} starts")

    async def stop(self) -> None:
        self._told.append(f"{self._name} stops")


class Observed:
    """An application of one consumer, and what it has told."""

    def __init__(self, url: str) -> None:
        self.told: list[str] = []
        broker = BrokerConnection(ProcessSettings(amqp_url=url), "test", "consume")
        self.consumer = Consumer(broker, "sync.work", self.consume, prefetch=1)
        self.application = Application(
            broker,
            lambda own: Components(Part("database", self.told), own, Part("background", self.told)),
            stop_seconds=60,
            asyncapi=AsyncAPI(title="test"),
        )
        self.application.on_startup(lambda color="grey": self.tell(f"before the broker, {color}"))
        self.application.after_startup(lambda: self.tell("after the broker's start"))
        self.application.on_shutdown(lambda: self.tell("before the broker's stop"))
        self.application.after_shutdown(lambda: self.tell("after the broker's stop"))

    async def consume(self, delivery: Delivery) -> None:
        await delivery.acknowledger.ack()

    def tell(self, what: str) -> None:
        self.told.append(f"{what}: {'consuming' if self.consumer.is_consuming else 'not consuming'}")


async def test_hooks_run_around_the_broker_and_among_the_parts(topology_url: str) -> None:
    observed = Observed(topology_url)
    await observed.application.start(color="green")
    await observed.application.stop()

    assert observed.told == [
        "database starts",
        "before the broker, green: not consuming",
        "after the broker's start: consuming",
        "background starts",
        "background stops",
        "before the broker's stop: consuming",
        "after the broker's stop: not consuming",
        "database stops",
    ]


async def test_a_hook_that_fails_at_the_stop_keeps_no_other_part_from_stopping(topology_url: str) -> None:
    observed = Observed(topology_url)

    def fail() -> None:
        raise LookupError("no such thing")

    observed.application.after_shutdown(fail)
    await observed.application.start(color="green")
    with pytest.raises(LookupError):
        await observed.application.stop()

    assert observed.told[-1] == "database stops"


async def test_it_can_be_used_as_faststream_is_in_tests(
    topology_url: str, broker: Broker, vhost: str
) -> None:
    observed = Observed(topology_url)
    async with observed.application:
        await eventually(lambda: broker.management.queue("sync.work", vhost).consumers == 1)
    await eventually(lambda: broker.management.queue("sync.work", vhost).consumers == 0)
