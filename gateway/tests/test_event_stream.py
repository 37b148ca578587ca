"""An endless answer whose events cannot be read any more."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy.exc import OperationalError

from waybill_gateway.http import GatewayMetrics
from waybill_gateway.watching.event_stream import EventStream


async def test_a_stream_whose_ledger_is_away_is_cut_and_its_watch_ends() -> None:
    sent: list[dict[str, Any]] = []
    ended: list[str] = []

    async def events() -> AsyncGenerator[bytes]:
        yield b"id: 1\n\n"
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.Event().wait()

    held = ExitStack()
    held.callback(lambda: ended.append("watch"))
    stream = EventStream(events(), held, GatewayMetrics(CollectorRegistry()))
    await stream({"type": "http", "headers": [], "method": "GET", "path": "/"}, receive, send)

    assert [message.get("more_body") for message in sent] == [None, True], "not ended as if it were whole"
    assert ended == ["watch"]
