"""A step is done again while broker or database are away, but not for ever where its values are refused."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from structlog.testing import capture_logs

from waybill_database import Records
from waybill_testkit.eventually import eventually
from waybill_testkit.postgres.failover import read_only
from waybill_testkit.postgres.private import InstalledPostgres
from waybill_testkit.samples import email_event, envelope_of
from waybill_worker.inbox.claims import Claimed
from waybill_worker.inbox.inbox import Inbox
from waybill_worker.publish import step_retries as steps
from waybill_worker.publish.publisher import PublishError
from waybill_worker.publish.step_retries import MOST_REFUSALS, retry_until_success

AWAY = OperationalError("", None, Exception("connection refused"))


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "RETRY_SECONDS", (0.0, 0.01))


def values_refused(postgres_state: str = "23505") -> IntegrityError:
    cause = Exception("a key is there twice")
    cause.sqlstate = postgres_state  # type: ignore[attr-defined] # as psycopg's errors have it
    return IntegrityError("", None, cause)


def failing(*errors: Exception) -> tuple[Callable[[], Awaitable[str]], list[int]]:
    left, tries = list(errors), [0]

    async def action() -> str:
        tries[0] += 1
        if left:
            raise left.pop(0)
        return "done"

    return action, tries


async def test_what_is_away_is_waited_for_however_often_and_told_once_a_minute() -> None:
    action, tries = failing(*[AWAY] * 50, PublishError("gone"), *[AWAY] * 50)
    with capture_logs() as lines:
        assert await retry_until_success("record", action) == "done"

    assert tries == [102]
    assert [line["event"] for line in lines] == ["step failed, doing it again"]


async def test_values_that_are_refused_are_raised_after_a_few_tries() -> None:
    action, tries = failing(*[values_refused()] * 100)
    with pytest.raises(IntegrityError):
        await retry_until_success("record", action)

    assert tries == [MOST_REFUSALS]


async def test_only_refusals_that_follow_each_other_count() -> None:
    few = [values_refused()] * (MOST_REFUSALS - 1)
    action, _ = failing(*few, AWAY, *few, AWAY)
    assert await retry_until_success("record", action) == "done"


async def test_a_claim_waits_for_an_inbox_that_can_only_be_read(own_postgres: InstalledPostgres) -> None:
    with own_postgres.database() as url:
        records = Records(url)
        inbox = Inbox(records, "email", lease_seconds=300)
        inbox.make_table()
        tries = 0

        async def claim() -> object:
            nonlocal tries
            tries += 1
            return await inbox.claim(envelope_of(email_event(), "one", attempt=1))

        with read_only(own_postgres):
            claiming = asyncio.create_task(retry_until_success("claim", claim))
            await eventually(lambda: tries > 2 * MOST_REFUSALS)
            assert not claiming.done()
        assert isinstance(await claiming, Claimed)
        await records.close()


async def test_a_claim_waits_for_an_inbox_whose_lock_file_cannot_be_opened(tmp_path: Path) -> None:
    records = Records(f"sqlite:///{tmp_path}/inbox.db")
    inbox = Inbox(records, "email", lease_seconds=300)
    inbox.make_table()
    turn = tmp_path / "inbox.db.turn"
    turn.unlink(missing_ok=True)
    turn.mkdir()
    tries = 0

    async def claim() -> object:
        nonlocal tries
        tries += 1
        return await inbox.claim(envelope_of(email_event(), "one", attempt=1))

    claiming = asyncio.create_task(retry_until_success("claim", claim))
    await eventually(lambda: tries > 2 * MOST_REFUSALS)
    turn.rmdir()
    assert isinstance(await claiming, Claimed)
    await records.close()
