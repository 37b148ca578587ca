"""The wait for a database: what is said of it, and how health sees it."""

from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, OperationalError
from structlog.testing import capture_logs

from waybill_database import Records
from waybill_database.waiting import LOG_SECONDS, Wait, until_reachable
from waybill_testkit.postgres.private import Postgres
from waybill_worker.runtime.database import REFUSAL_GRACE_SECONDS, DatabaseWait

AWAY = OperationalError("", None, Exception("connection refused"))
WRONG_PASSWORD = OperationalError("", None, Exception('password authentication failed for user "x"'))
NO_DATABASE = OperationalError("", None, Exception('database "x" does not exist'))


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Wait, "pause", lambda _: 0.0)


class Time:
    now = 0.0


async def test_a_refusal_is_said_once_and_is_unhealthy_only_when_it_lasts(tmp_path: Path) -> None:
    wait = DatabaseWait(lambda: Time.now)
    errors = iter(
        [
            (0, AWAY),
            (1, WRONG_PASSWORD),
            (REFUSAL_GRACE_SECONDS, WRONG_PASSWORD),
            (REFUSAL_GRACE_SECONDS + 1, NO_DATABASE),
            (REFUSAL_GRACE_SECONDS + 2, AWAY),
            (REFUSAL_GRACE_SECONDS + 3, NO_DATABASE),
        ]
    )
    seen: list[str | None] = []

    def prepare(_: Engine) -> None:
        Time.now, error = next(errors, (Time.now, None))
        # What came of the error before, at this time.
        seen.append(wait.lasting_refusal)
        if error is not None:
            raise error

    records = Records(f"sqlite:///{tmp_path}/some.db")
    with capture_logs() as lines:
        await wait.until_prepared(records, prepare)
    await records.close()

    assert seen == [None, None, None, str(WRONG_PASSWORD.orig), str(NO_DATABASE.orig), None, None]
    assert wait.lasting_refusal is None
    reasons = [line["reason"] for line in lines if line["log_level"] == "critical"]
    assert reasons == [str(error.orig) for error in (WRONG_PASSWORD, NO_DATABASE, NO_DATABASE)]
    # All of it within a minute by the clock of the lines.
    assert [line["error"] for line in lines if line["log_level"] == "warning"] == ["connection refused"]


async def test_what_is_no_trouble_with_the_database_is_raised(tmp_path: Path) -> None:
    def prepare(_: Engine) -> None:
        raise LookupError("a defect")

    records = Records(f"sqlite:///{tmp_path}/some.db")
    with pytest.raises(LookupError, match="a defect"):
        await DatabaseWait().until_prepared(records, prepare)
    await records.close()


def test_a_wait_is_told_at_once_and_then_every_minute() -> None:
    wait = Wait(lambda: Time.now)
    due = []
    for Time.now in (0.0, 1.0, LOG_SECONDS - 1, LOG_SECONDS, LOG_SECONDS + 1, 2 * LOG_SECONDS):
        due.append(wait.should_log())

    assert due == [True, False, False, True, False, True]


def test_a_command_waits_for_what_is_away_but_not_for_what_refuses_it(postgres: Postgres) -> None:
    lines: list[str] = []
    until_reachable(postgres.url, lines.append)
    assert lines == []
    with pytest.raises(DBAPIError, match="does not exist"):
        until_reachable(f"{postgres.url}_not", lines.append)
    assert lines == []

    def give_up(line: str) -> None:
        lines.append(line)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        until_reachable("postgresql://nobody@127.0.0.1:1/none", give_up)
    assert len(lines) == 1
    assert "waiting for it: connection failed" in lines[0]
