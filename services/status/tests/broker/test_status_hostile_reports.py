"""Nonsense among the reports: each a dead letter or passed over, and the good one behind it is applied."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from test_status_on_broker import Ledger, ledger, report, running

from waybill_contracts.states import State
from waybill_contracts.wire.lifecycle import LIFECYCLE_BATCH, LifecycleType
from waybill_testkit.eventually import eventually
from waybill_testkit.samples import new_task, reported
from waybill_testkit.wire import Wire

__all__ = ["ledger"]

#: Headers of every type that AMQP has, one of them nearly as large as a frame may be.
HEADERS = {
    "x-long": "x" * 60_000,
    "x-table": {"a": {"b": [1, "two", None, {"c": True}]}},
    "x-number": Decimal("1.5"),
    "x-time": datetime(1970, 1, 1, tzinfo=UTC),
    "x-attempt": "many",
    "x-task-id": [1],
    "cloudEvents_type": 7,
}
BODIES = [
    b"",
    b"\x00\xff\xfe",
    b"null",
    b"7",
    b'{"specversion": "1.0"}',
    b"[" * 100_000,
    b'[{"a":' * 5_000,
    b"[%s]" % (b"9" * 100_000),
    b'["\\ud800"]',
    b"<xml/>",
]


def forged(task_id: str) -> list[bytes]:
    """Reports that a service would never send, about a task that is there."""
    document = json.loads(LIFECYCLE_BATCH.dump_json([reported(LifecycleType.DEAD, task_id)]))[0]

    def with_data(**data: Any) -> bytes:
        return json.dumps([{**document, "data": document["data"] | data}]).encode()

    error = {"type": "E", "message": "x"}
    return [
        with_data(error=error | {"message": "a\x00b"}),
        with_data(error=error | {"type": "\x00"}),
        with_data(service="\x00"),
        with_data(service="nobody"),
        with_data(service="x" * 100_000),
        with_data(kind="\x00"),
        with_data(task_id="\x00"),
        with_data(task_id="x" * 100_000),
        with_data(attempt=10**30),
        with_data(attempt=-1),
        with_data(redrive_no=2**40),
        with_data(snooze_no=2**40),
        with_data(max_attempts=2**70),
        with_data(seconds=1e308),
        json.dumps([document | {"time": "9999-12-31T23:59:59-23:59"}]).encode(),
        json.dumps([document | {"time": "0001-01-01T00:00:00+23:59"}]).encode(),
        json.dumps([document | {"type": "task.exploded"}]).encode(),
    ]


async def test_nonsense_among_the_reports_stops_nothing(
    topology_url: str, wire: Wire, ledger: Ledger
) -> None:
    target, good = new_task(), new_task()
    await ledger.accepted(target, good)
    async with running(topology_url, ledger):
        for body in BODIES:
            await wire.put("events", "task.started", body, HEADERS)
        for body in forged(target.id):
            await wire.put("events", "task.dead", body, {})
        await report(wire, reported(LifecycleType.COMPLETED, good.id))
        await eventually(lambda: ledger.is_in(good.id, State.COMPLETED))
        unreadable: set[bytes] = set()
        # All come in their turn; what PostgreSQL cannot keep must not be tried for ever.
        while not _with_nul(target.id) <= unreadable:
            letter = await wire.take("status.dlq")
            assert letter.headers["x-dead-reason"] == "unreadable"
            unreadable.add(letter.body)

    assert unreadable >= {b"null", b"7"}


def _with_nul(task_id: str) -> set[bytes]:
    names = (b'"service": "\\u0000"', b'"kind": "\\u0000"', b'"task_id": "\\u0000"')
    return {body for body in forged(task_id) if any(name in body for name in names)}
