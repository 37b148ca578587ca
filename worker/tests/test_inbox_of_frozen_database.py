"""The inbox's PostgreSQL is frozen amid an attempt: that takes longer, and nothing else comes of it."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import SQLAlchemyError
from structlog.testing import capture_logs

from waybill_database import Records, is_unavailable
from waybill_testkit.eventually import eventually
from waybill_testkit.postgres.private import InstalledPostgres
from waybill_testkit.samples import email_event, envelope_of
from waybill_worker.inbox.claims import AlreadyDone, Claimed
from waybill_worker.inbox.inbox import Inbox
from waybill_worker.outcome import Completed
from waybill_worker.publish.step_retries import retry_until_success

COMPLETED = Completed(at=datetime(2026, 1, 1, tzinfo=UTC), seconds=1, max_attempts=4, result={})
ONE, OTHER = (envelope_of(email_event(), name, attempt=1) for name in ("one", "other"))


async def test_a_claim_fails_for_now_and_an_outcome_is_recorded_once_when_it_goes_on(
    own_postgres: InstalledPostgres,
) -> None:
    with own_postgres.database() as url:
        records = Records(url, answer_seconds=0.5)
        inbox = Inbox(records, "email", lease_seconds=300)
        inbox.make_table()
        await inbox.start()
        claim = await inbox.claim(ONE)
        assert isinstance(claim, Claimed)
        own_postgres.freeze()
        try:
            with pytest.raises(SQLAlchemyError) as refused:
                await inbox.claim(OTHER)
            with capture_logs() as lines:
                recording = asyncio.create_task(
                    retry_until_success("record", lambda: inbox.record(claim.owner, ONE, COMPLETED))
                )
                await eventually(lambda: lines, 60)
            assert not recording.done()
        finally:
            own_postgres.thaw()
        await recording

        assert is_unavailable(refused.value)
        assert isinstance(await inbox.claim(ONE), AlreadyDone)
        # It may have been claimed after all, without an answer to the claimer: its lease decides.
        await inbox.claim(OTHER)
        await inbox.stop()
        await records.close()
