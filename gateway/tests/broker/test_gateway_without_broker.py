"""The gateway beside a real broker that hangs: it neither makes callers wait nor takes for ever to stop."""

import asyncio
from pathlib import Path

from gateway_under_test import EMAIL, Gateway, running

from devstack.eventually import eventually
from devstack.proxy import Proxy

#: A publish is given up after this, so whoever waits for one takes as long.
PUBLISH_SECONDS = 3.0
MOST_IN_FLIGHT = 20


async def is_connected(gateway: Gateway) -> bool:
    return bool((await gateway.client.get("/readyz")).json()["broker"])


async def test_a_broker_that_hangs_holds_up_no_caller_and_no_stop(
    topology_url: str, proxy: Proxy, tmp_path: Path
) -> None:
    """Pain: the HTTP publisher hangs while the broker is down (faststream 1579)."""
    loop = asyncio.get_running_loop()
    async with running(
        tmp_path,
        amqp_url=proxy.url(topology_url),
        publish_timeout_seconds=PUBLISH_SECONDS,
        max_in_flight=MOST_IN_FLIGHT,
    ) as gateway:
        await eventually(lambda: is_connected(gateway))
        proxy.stall()
        began = loop.time()
        answers = await asyncio.gather(*(gateway.post("/v1/emails", EMAIL) for _ in range(100)))
        took = loop.time() - began
        publishing = len(gateway.resources._relaying)  # noqa: SLF001 - how many hang is told nowhere else
        began = loop.time()
    stopped = loop.time() - began

    assert {answer.status_code for answer in answers} == {202}
    assert took < PUBLISH_SECONDS
    assert publishing <= MOST_IN_FLIGHT
    assert stopped < 4 * PUBLISH_SECONDS
