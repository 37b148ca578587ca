from time import monotonic

import pytest

from waybill_testkit.eventually import eventually
from waybill_testkit.wire import Wire
from waybill_worker.broker.delay_ladder import ladder_entry

WAITS = (1, 2, 3, 5)


@pytest.fixture
async def arrivals(wire: Wire) -> dict[bytes, float]:
    """When each message arrived in `images.work`, as it comes."""
    came: dict[bytes, float] = {}
    queue = await wire.channel.get_queue("images.work")

    async def note(message: object) -> None:
        came[message.body] = monotonic()  # type: ignore[attr-defined] # aio-pika's own message

    await queue.consume(note, no_ack=True)
    return came


async def test_messages_wait_as_long_as_they_should_and_go_to_their_own_queue(
    wire: Wire, arrivals: dict[bytes, float]
) -> None:
    sent: dict[bytes, float] = {}
    for copy in range(5):
        for seconds in WAITS:
            entry = ladder_entry(seconds, "images.work")
            body = f"{seconds}/{copy}".encode()
            sent[body] = monotonic()
            await wire.put(entry.exchange, entry.routing_key, body, {})
    await eventually(lambda: arrivals.keys() == sent.keys())
    waited = {body: arrivals[body] - at for body, at in sent.items()}

    assert [body for body, seconds in waited.items() if seconds < int(body.split(b"/")[0])] == []
    others = ("email.work", "sync.work", "status.work", "unrouted", "images.dlq")
    assert [await wire.ready(queue) for queue in others] == [0] * len(others)
