"""The reader of what happens, whose ledger fails in the middle of a look."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from waybill_contracts.wire import LifecycleEvent, LifecycleType
from waybill_database import Records
from waybill_gateway.following import ledger_reader
from waybill_gateway.following.ledger_reader import LedgerReader
from waybill_ledger import Submission, accept, apply_events
from waybill_ledger.following import changes_between
from waybill_testkit.samples import new_task, reported


def applied(connection: Connection, events: Sequence[LifecycleEvent]) -> list[None]:
    apply_events(connection, list(events))
    return [None] * len(events)


async def test_what_a_look_has_found_before_it_failed_is_found_again(
    ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = Records(ledger_url)
    reader = LedgerReader(ledger_url, 5, lambda _seen: None)
    reader.follow_all()
    await reader._on_thread(reader._look)  # noqa: SLF001 - one look, when the test wants it
    task = new_task()
    await records.write(accept, Submission(task))
    await records.write(applied, reported(LifecycleType.STARTED, task.id))
    failing = iter([OperationalError("SELECT 1", {}, Exception("gone"))])

    def changes(*arguments: Any, **options: Any) -> Any:
        for error in failing:
            raise error
        return changes_between(*arguments, **options)

    monkeypatch.setattr(ledger_reader, "changes_between", changes)
    with pytest.raises(OperationalError):
        await reader._on_thread(reader._look)  # noqa: SLF001 - as above
    seen = await reader._on_thread(reader._look)  # noqa: SLF001 - as above

    assert task.id in seen.look.tasks
    assert [change.task_id for change in seen.changes] == [task.id]
    await reader.stop()
    await records.close()
