from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from waybill_contracts.states import State
from waybill_contracts.wire.lifecycle import LifecycleType
from waybill_database import Records
from waybill_ledger import Submission, TaskFilter, accept, apply_events, list_tasks
from waybill_ledger.schema.tables import IDEMPOTENCY, OUTBOX
from waybill_status.settings import StatusSettings
from waybill_status.upkeep.metrics import StatusMetrics
from waybill_status.upkeep.pruner import STEP, Pruner, Retention
from waybill_testkit.samples import keyed, new_task, reported

MONTH, DAY = timedelta(days=30), timedelta(days=1)


def fill(records: Records, *, completed: int, failed: int) -> None:
    """Tasks whose records are of the samples' noon, which is long ago, and some that wait."""
    tasks = [new_task() for _ in range(completed + failed + 3)]
    with records.engine.begin() as connection:
        accept(connection, [Submission(task, keyed(task.id)) for task in tasks])
        connection.execute(OUTBOX.delete())
        apply_events(connection, [reported(LifecycleType.COMPLETED, task.id) for task in tasks[:completed]])
        apply_events(
            connection, [reported(LifecycleType.DEAD, t.id) for t in tasks[completed : completed + failed]]
        )


async def states(records: Records) -> list[State]:
    page = await records.read(lambda connection: list_tasks(connection, TaskFilter(), limit=999, cursor=None))
    return sorted({task.state for task in page.tasks})


def pruner(records: Records, retention: Retention) -> tuple[Pruner, CollectorRegistry]:
    registry = CollectorRegistry()
    return Pruner(records, retention, look_seconds=1, metrics=StatusMetrics(registry)), registry


async def test_what_is_over_goes_in_steps_and_the_rest_stays(records: Records) -> None:
    fill(records, completed=STEP + 20, failed=5)
    works, registry = pruner(records, Retention(MONTH, None, MONTH))

    assert await works.prune() == STEP + 20

    assert await states(records) == [State.FAILED, State.PENDING]
    assert registry.get_sample_value("waybill_pruned_tasks_total", {"state": "completed"}) == STEP + 20
    # Those of the three that are still open.
    assert len(await records.read(lambda connection: connection.execute(IDEMPOTENCY.select()).all())) == 3
    assert await works.prune() == 0


async def test_failed_tasks_have_a_time_of_their_own(records: Records) -> None:
    fill(records, completed=2, failed=3)
    since_noon = datetime.now(UTC) - datetime(2026, 3, 1, 12, tzinfo=UTC)
    works, _ = pruner(records, Retention(tasks=since_noon + DAY, failed=MONTH, keys=None))

    assert await works.prune() == 3

    assert await states(records) == [State.COMPLETED, State.PENDING]


async def test_all_is_kept_for_good_where_that_is_wanted(records: Records) -> None:
    fill(records, completed=2, failed=3)
    works, _ = pruner(records, Retention(None, None, None))

    assert await works.prune() == 0

    assert await states(records) == [State.COMPLETED, State.FAILED, State.PENDING]


def test_failed_tasks_are_kept_while_their_letters_may_be_on_their_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WAYBILL_LEDGER_URL", "sqlite:///ledger.db")
    for days in ("0", "3"):
        monkeypatch.setenv("WAYBILL_KEEP_FAILED_DAYS", days)
        assert StatusSettings().keep_failed_days == float(days)
    monkeypatch.setenv("WAYBILL_KEEP_FAILED_DAYS", "2.9")
    with pytest.raises(ValidationError, match="at least 3 days"):
        StatusSettings()
