import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError

from waybill_database import Records
from waybill_status.outlooks import FRESH_SECONDS, Outlooks


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def records(ledger_url: str) -> AsyncIterator[Records]:
    records = Records(ledger_url)
    yield records
    await records.close()


@pytest.fixture
def read(records: Records) -> list[str]:
    """The statements that read outlooks."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "slot_at" in statement:
            statements.append(statement)

    event.listen(records.engine, "before_cursor_execute", note)
    return statements


async def test_all_who_ask_within_a_moment_share_one_reading(records: Records, read: list[str]) -> None:
    clock = Clock()
    outlooks = Outlooks(records, clock)

    first, second = await asyncio.gather(outlooks.current(), outlooks.current())
    clock.now += FRESH_SECONDS / 2
    third = await outlooks.current()
    assert first is second is third
    assert len(read) == 1

    clock.now += FRESH_SECONDS
    assert await outlooks.current() is not first
    assert len(read) == 2


async def test_an_outlook_that_has_expired_is_read_anew_though_a_reading_is_under_way(
    records: Records, read: list[str]
) -> None:
    outlooks = Outlooks(records, Clock())
    earlier = asyncio.create_task(outlooks.current())
    await asyncio.sleep(0)
    outlooks.expire()

    assert await outlooks.current() is not await earlier
    assert len(read) == 2


async def test_one_who_is_stopped_leaves_the_reading_to_the_others(records: Records, read: list[str]) -> None:
    outlooks = Outlooks(records, Clock())
    stopped, other = (asyncio.create_task(outlooks.current()) for _ in range(2))
    await asyncio.sleep(0)
    stopped.cancel()

    assert (await other).revision > 0
    assert len(read) == 1


async def test_a_reading_that_failed_is_not_kept(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    outlooks = Outlooks(records, Clock())

    async def fail(_query: object) -> None:
        raise SQLAlchemyError("the ledger is away")

    with monkeypatch.context() as patch:
        patch.setattr(records, "read", fail)
        with pytest.raises(SQLAlchemyError, match="away"):
            await outlooks.current()

    assert (await outlooks.current()).revision > 0
