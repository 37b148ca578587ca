"""The broker goes away in three ways while callers post: the gateway answers as usual, and all completes."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from statistics import median
from time import monotonic
from typing import Any

import httpx
import pytest

from tests.end_to_end.stack import PATIENCE, POLL_SECONDS, Stack
from waybill_testkit.broker import Broker
from waybill_testkit.broker.server import ServerBroker
from waybill_testkit.eventually import eventually

#: For how long the broker is away, and posts a second meanwhile: `WAYBILL_AWAY_SECONDS=60` for a long run.
AWAY_SECONDS = float(os.environ.get("WAYBILL_AWAY_SECONDS", "8"))
RATE = 25
#: Below the time after which a publish counts as lost: who takes longer has waited for the broker.
LONGEST_ANSWER = 9.0
SERVICES = ("status", "email", "images", "sync")


@contextmanager
def down(broker: ServerBroker) -> Iterator[None]:
    broker.stop()
    try:
        yield
    finally:
        broker.start()


@contextmanager
def frozen(broker: ServerBroker) -> Iterator[None]:
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker.pid, signal.SIGCONT)


@contextmanager
def blocked(broker: ServerBroker) -> Iterator[None]:
    """By its memory alarm: the broker stops reading from publishers."""
    broker.control("set_vm_memory_high_watermark", "0.0000001")
    try:
        yield
    finally:
        broker.control("set_vm_memory_high_watermark", "0.4")


Harm = Callable[[ServerBroker], Any]


@pytest.mark.parametrize(
    ("harm", "is_noticed"),
    [(down, True), (frozen, False), (blocked, False)],
    ids=["down", "frozen", "blocked"],
)
def test_posts_are_answered_as_usual_and_all_complete_afterwards(
    stack: Stack, stack_broker: Broker, harm: Harm, *, is_noticed: bool
) -> None:
    """Pains: the publisher hangs while the broker is down (faststream 1579); publishes lost (celery 5410)."""
    if not isinstance(stack_broker, ServerBroker):
        pytest.skip("needs a broker that can be frozen and controlled: an installed rabbitmq-server")
    asyncio.run(_post_while_away(stack, stack_broker, harm, is_noticed=is_noticed))


async def _post_while_away(stack: Stack, broker: ServerBroker, harm: Harm, *, is_noticed: bool) -> None:
    places = stack.places()
    async with _client(places["gateway"]) as client:
        earlier = (await client.get("/v1/accounting")).json()["total"]
        _, before = await _post(client, seconds=2)
        with harm(broker):
            if is_noticed:
                await _until_all_are(stack, ready=False)
                gateway = await client.get("/readyz")
                assert (gateway.status_code, gateway.json()["broker"]) == (200, False)
            took, during = await _post(client, seconds=AWAY_SECONDS)
        accepted = before | during
        assert len(during) >= AWAY_SECONDS * RATE * 0.9
        assert max(took) < LONGEST_ANSWER, sorted(took)[-20:]
        # Not in proportion to the usual time: all of this shares two processors with other tests.
        assert median(took) < LONGEST_ANSWER / 3, median(took)
        await _until_all_are(stack, ready=True)
        await eventually(lambda: _all_completed(client, earlier, accepted), PATIENCE, every=POLL_SECONDS)
        assert (await client.get("/v1/accounting")).json()["balanced"]
    async with _client(places["mailbox"]) as mailbox:
        mails = [mail["to"][0] for mail in (await mailbox.get("/api/messages")).json()]
        assert sorted(mail for mail in mails if mail in accepted.values()) == sorted(accepted.values())


@asynccontextmanager
async def _client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False, limits=limits) as client:
        yield client


async def _post(client: httpx.AsyncClient, *, seconds: float) -> tuple[list[float], dict[str, str]]:
    """Posts at the rate; gives how long each answer took, and whom each accepted task mails."""
    took: list[float] = []
    accepted: dict[str, str] = {}

    async def post(to: str) -> None:
        began = monotonic()
        answer = await client.post("/v1/emails", json={"to": to, "subject": "Hello", "text": "It works."})
        took.append(monotonic() - began)
        assert answer.status_code == 202, answer.text
        accepted[answer.json()["id"]] = to

    began = monotonic()
    async with asyncio.TaskGroup() as posting:
        for number in range(int(seconds * RATE)):
            await asyncio.sleep(max(0.0, began + number / RATE - monotonic()))
            posting.create_task(post(f"away-{began:.6f}-{number}@example.com"))
    return took, accepted


async def _until_all_are(stack: Stack, *, ready: bool) -> None:
    async def are_so() -> bool:
        states = await asyncio.gather(*(asyncio.to_thread(_is_ready, stack, name) for name in SERVICES))
        return set(states) == {ready}

    await eventually(are_so, PATIENCE, every=POLL_SECONDS)


def _is_ready(stack: Stack, name: str) -> bool:
    """What the process itself says."""
    lines = map(json.loads, stack.logs()[name].splitlines())
    port = [line["health_port"] for line in lines if "health_port" in line][-1]
    # By HTTP: to read the system's certificates each time takes longer than the question.
    return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=60, trust_env=False, verify=False).is_success


async def _all_completed(
    client: httpx.AsyncClient, earlier: dict[str, int], accepted: dict[str, str]
) -> bool:
    total = (await client.get("/v1/accounting")).json()["total"]
    new = {state: total[state] - earlier[state] for state in ("accepted", "completed")}
    return new == dict.fromkeys(new, len(accepted))
