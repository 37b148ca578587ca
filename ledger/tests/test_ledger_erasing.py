import asyncio
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from desk_under_test import LATER, Desk
from persons_under_test import COMPLETED, STARTED, Somebody, everything, telling
from sqlalchemy import Engine, event, select, text

from waybill_contracts.privacy.seal import NO_KEYS
from waybill_contracts.states import State
from waybill_contracts.wire.lifecycle import LifecycleType
from waybill_database import open_engine
from waybill_ledger import (
    AcceptedBefore,
    Account,
    CallErasedError,
    Erased,
    ErasedStep,
    EraseStep,
    NamedTasks,
    Person,
    Range,
    Redemption,
    Refusal,
    StallTimeouts,
    Submission,
    accept,
    erase_persons,
    holdings_of,
    open_tasks,
    redeem,
    take_account,
)
from waybill_ledger.audit.trail import AuditFilter, list_audit_entries
from waybill_ledger.deadletters.letters.archiving import Move, move
from waybill_ledger.deadletters.letters.queries import LetterFilter
from waybill_ledger.deadletters.redrives.edits import Edit
from waybill_ledger.deadletters.states import Effect, ItemState, LetterState, Verdict
from waybill_ledger.schema.desk_tables import REDRIVE_LETTERS
from waybill_testkit.empty_ledger import empty_ledger
from waybill_testkit.eventually import eventually
from waybill_testkit.samples import NOON, keyed, new_task, reported

ANN, BOB = Somebody("annquillfeather"), Somebody("bobquillfeather")
#: Where the word stands before.
TABLES = {
    "alert_groups",
    "dead_letter_groups",
    "dead_letter_messages",
    "dead_letters",
    "password_resets",
    "redrive_letters",
    "redriven_payloads",
    "schedules",
    "subtasks",
    "tasks",
    "timeline",
}

#: Where it stands of a failed task with its letter, whatever else there is.
WHOLE = {"tasks", "subtasks", "timeline", "dead_letters", "dead_letter_messages"}


def step(who: Somebody = ANN, *, most: int = 100, after: str = "", tenant: str | None = None) -> EraseStep:
    return EraseStep(Person(who.digest, tenant), LATER, most, "erasure-1", "eve", after)


async def erased(desk: Desk, who: Somebody = ANN, **wanted: object) -> ErasedStep:
    return await desk.records.write(erase_persons, step(who, **wanted))  # type: ignore[arg-type]


def contents(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in folder.iterdir()]


async def account(desk: Desk) -> Account:
    wanted = Range(LATER, StallTimeouts(LATER - NOON, LATER - NOON, LATER - NOON))
    return await desk.records.read(partial(take_account, wanted=wanted, limit=10, cursor=None))


async def test_nothing_of_the_person_is_left_and_nothing_of_others_goes(desk: Desk) -> None:
    await ANN.furnished(desk)
    await BOB.furnished(desk)
    before = await everything(desk)
    assert telling(before, ANN.word).keys() == TABLES
    account_before = await account(desk)

    done = await erased(desk)

    assert done == ErasedStep(Erased(3, 2, 1, 1, 2), {}, None)
    after = await everything(desk)
    assert telling(after, ANN.word) == {}
    assert telling(after, ANN.digest).keys() == {"idempotency"}  # the caller's own word for it, in this test
    assert telling(after, BOB.word) == telling(before, BOB.word)
    # What was accepted is accounted for as before.
    assert await account(desk) == account_before
    assert len(after["tasks"]) == len(before["tasks"])
    assert len(after["timeline"]) == len(before["timeline"])
    assert len(after["dead_letters"]) == len(before["dead_letters"])


async def test_a_task_tells_when_it_was_erased_and_what_became_of_it(desk: Desk) -> None:
    tasks = await ANN.furnished(desk)
    await erased(desk)
    task = await desk.task(tasks["failed"].id)
    assert (task.state, task.about, task.correlation_id, task.erased_at) == (
        State.FAILED,
        "[erased]",
        task.id,
        LATER,
    )
    assert {s.service: s.error for s in task.subtasks} == {
        "email": None,
        "sync": {"type": "PermanentError", "message": "[erased]"},
    }


async def test_the_files_of_a_sqlite_ledger_do_not_hold_it_either(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    file.write_bytes(empty_ledger())
    desk = Desk(f"sqlite:///{file}")
    await ANN.furnished(desk)
    assert any(ANN.word.encode() in content for content in contents(tmp_path))
    await erased(desk)
    await desk.records.close()
    # Once it is closed, its log has become part of it.
    assert not any(ANN.word.encode() in content for content in contents(tmp_path))


async def test_steps_are_small_and_a_second_run_finds_nothing_more(desk: Desk) -> None:
    tasks = [await ANN.completed(desk) for _ in range(5)]
    first = await erased(desk, most=2)
    assert (first.erased.tasks, first.after) == (2, tasks[1].id)
    # As after a crash: begun anew, it goes on where it was.
    assert (await erased(desk, most=2)).erased.tasks == 2
    assert await erased(desk, most=2) == ErasedStep(Erased(1), {}, None)
    assert await erased(desk, most=2) == ErasedStep(Erased(0), {}, None)
    trail = partial(list_audit_entries, wanted=AuditFilter(action="erase"), limit=9, cursor=None)
    entries = [entry for _, entry in (await desk.records.read(trail)).entries]
    assert [(entry.actor, entry.letters) for entry in entries] == [("eve", 0)] * 3
    details = [entry.details or {} for entry in entries]
    assert [(each["erasure"], each["tasks"]) for each in details] == [("erasure-1", n) for n in (1, 2, 2)]


async def test_a_process_that_is_killed_in_the_middle_leaves_each_task_whole_or_erased(
    desk: Desk, ledger_url: str
) -> None:
    tasks = [await ANN.failed(desk) for _ in range(5)]
    await desk.came(*map(ANN.letter, tasks))
    process = Path(__file__).with_name("erasing_process.py")

    def run(last_statement: int) -> int:
        words = [sys.executable, str(process), ledger_url, ANN.digest, str(last_statement)]
        return subprocess.run(words, check=False, timeout=120).returncode

    gone: list[int] = []
    # At the beginning; deep in a step; in the middle of the next one, whatever a step takes.
    for last_statement in (1, 17, 30):
        assert await asyncio.to_thread(run, last_statement) == -signal.SIGKILL
        rows = await everything(desk)
        erased_at = {task.id: (await desk.task(task.id)).erased_at for task in tasks}
        for task_id, at in erased_at.items():
            own = {name: [row for row in of_table if task_id in row] for name, of_table in rows.items()}
            # Of a whole one all says it, of an erased one nothing does.
            says_it = telling(own, ANN.word).keys()
            assert says_it >= WHOLE if at is None else not says_it
        gone.append(sum(at is not None for at in erased_at.values()))
    assert gone[0] == 0
    assert gone[0] <= gone[1] < gone[2] < len(tasks)
    assert await asyncio.to_thread(run, 0) == 0
    assert telling(await everything(desk), ANN.word) == {}
    trail = partial(list_audit_entries, wanted=AuditFilter(action="erase"), limit=9, cursor=None)
    entries = (await desk.records.read(trail)).entries
    assert sum((entry.details or {})["tasks"] for _, entry in entries) == len(tasks)


async def test_what_is_open_stays_whole_and_is_told(desk: Desk) -> None:
    ended = await ANN.completed(desk)
    waiting = await ANN.accepted(desk, stays=True)
    running = await ANN.accepted(desk)
    await desk.apply(reported(STARTED, running.id))
    assert await desk.records.read(partial(open_tasks, step=step())) == [waiting.id, running.id]

    done = await erased(desk)

    assert (done.erased.tasks, done.open) == (1, {State.PENDING: 1, State.RUNNING: 1})
    assert (await desk.task(ended.id)).erased_at == LATER
    for task in (waiting, running):
        assert (await desk.task(task.id)).about == ANN.word
    await desk.apply(reported(COMPLETED, running.id))
    assert (await erased(desk)).open == {State.PENDING: 1}
    assert (await desk.task(running.id)).erased_at == LATER


async def test_only_one_tenants_data_goes_where_one_is_named(desk: Desk) -> None:
    own, others = replace(ANN, tenant="acme"), ANN
    await own.completed(desk)
    kept = await others.completed(desk)
    assert (await erased(desk, tenant="acme")).erased.tasks == 1
    assert (await desk.task(kept.id)).erased_at is None


async def test_tasks_that_are_named_go_whoever_they_are_about_and_nothing_else(desk: Desk) -> None:
    named = await replace(ANN, tenant="acme").completed(desk)
    other = await ANN.completed(desk)
    open_one = await ANN.accepted(desk)
    ids = (named.id, open_one.id, "01a20797-6d09-71fe-b759-803ec3a459ee")

    async def run(tenant: str | None) -> ErasedStep:
        whose = NamedTasks(ids, tenant)
        return await desk.records.write(erase_persons, EraseStep(whose, LATER, 100, "erasure-2", "eve"))

    assert await run("beta") == ErasedStep(Erased(0), {}, None)
    assert await run(None) == ErasedStep(Erased(1), {State.PENDING: 1}, None)
    assert await run(None) == ErasedStep(Erased(0), {State.PENDING: 1}, None)
    assert (await desk.task(other.id)).erased_at is None


async def test_a_repeat_of_an_erased_call_is_refused_and_makes_nothing(desk: Desk) -> None:
    call = keyed("order-17")
    await ANN.completed(desk, call=call)
    assert isinstance(await desk.records.write(accept, Submission(new_task(ANN.mail), call)), AcceptedBefore)
    await erased(desk)
    for content in ("same", "other"):
        again = Submission(new_task(ANN.mail), keyed("order-17", content))
        assert isinstance(await desk.records.write(accept, again), CallErasedError)
    assert (await account(desk)).accepted == {"email.requested": 1}


async def test_a_reset_link_is_good_no_more(desk: Desk) -> None:
    await ANN.furnished(desk)
    await erased(desk)
    wish = Redemption(f"hash of {ANN.digest}", NOON, NO_KEYS)
    assert await desk.records.write(redeem, wish) is Refusal.UNKNOWN


async def test_what_is_told_late_is_kept_without_its_words(desk: Desk) -> None:
    failed = await ANN.failed(desk)
    await erased(desk)
    late = reported(LifecycleType.RETRYING, failed.id, service="sync", kind=failed.kind)
    data = late.data.model_copy(update={"error": ANN.error})
    await desk.apply(
        late.model_copy(update={"data": data}),
        reported(LifecycleType.PROGRESS, failed.id, kind=failed.kind, text=ANN.word),
    )
    rows = await everything(desk)
    assert any("task.retrying" in row and "[erased]" in row for row in rows["timeline"])
    assert telling(rows, ANN.word) == {}


async def test_a_letter_that_comes_in_late_is_kept_without_what_it_held_and_put_away(desk: Desk) -> None:
    failed = await ANN.failed(desk)
    await erased(desk)
    await desk.came(ANN.letter(failed))
    assert telling(await everything(desk), ANN.word) == {}
    [letter] = await desk.letters()
    assert (letter["state"], letter["effect"], letter["put_away_by"]) == (
        LetterState.DISCARDED,
        Effect.ERASED,
        "the desk",
    )


async def test_a_letter_of_an_erased_task_is_not_redriven_and_says_why(desk: Desk) -> None:
    failed = await ANN.failed(desk)
    other = await BOB.failed(desk)
    await desk.came(ANN.letter(failed), BOB.letter(other))
    planned = await desk.planned()
    await desk.start(planned)
    await erased(desk)
    messages = await desk.sent(planned)
    assert [message.envelope.task_id for message in messages] == [other.id]
    skipped = await desk.items(planned.id, state=ItemState.SKIPPED)
    assert [item["skipped_because"] for item in skipped] == ["erased"]
    # Put away as it is, somebody may restore it: then its plan tells.
    [letter] = await desk.letters(task=failed.id)
    assert letter["put_away_reason"] == "its person was erased"
    await move(desk.records, Move(LetterFilter(ids=[letter["id"]]), LetterState.DEAD, "ann", LATER, None))
    edit = Edit([{"op": "add", "path": "", "value": {"user_id": "1", "email": "a@b.test", "name": "A"}}])
    for edits in ([], [edit]):
        plan = await desk.planned(ids=[letter["id"]], edits=edits)
        assert (plan.dry_run["will_run"], plan.dry_run["effects"][Effect.ERASED]) == (0, 1)
        assert plan.dry_run["verdicts"][Verdict.UNFIXABLE] == 1
        assert "no longer kept" in plan.dry_run["unfixable"][0]["errors"][0]["message"]


async def test_an_edit_that_is_written_while_its_letter_is_erased_is_not_kept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = await ANN.failed(desk)
    await desk.came(ANN.letter(failed))
    write = desk.records.write

    async def erased_first(function: object, item: object, **more: object) -> object:
        if getattr(function, "__name__", "") == "_keep":
            await write(erase_persons, step())
        return await write(function, item, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(desk.records, "write", erased_first)
    edit = Edit([{"op": "replace", "path": "/name", "value": f"{ANN.word}, edited"}])
    await desk.planned(edits=[edit])
    rows = await desk.records.read(lambda c: c.execute(select(REDRIVE_LETTERS.c.edited)).all())
    assert [row.edited for row in rows] == [None]


async def test_nothing_is_held_any_more(desk: Desk) -> None:
    await ANN.furnished(desk)
    await erased(desk)
    held = await desk.records.read(partial(holdings_of, person=Person(ANN.digest)))
    assert (held.tasks, held.letters, held.schedules, held.password_resets, held.idempotency_keys) == (
        {},
        0,
        0,
        0,
        0,
    )


async def test_a_step_reads_no_table_from_end_to_end_but_the_small_ones(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    file.write_bytes(empty_ledger())
    desk = Desk(f"sqlite:///{file}")
    await ANN.furnished(desk)
    ran: list[tuple[str, Any]] = []

    @event.listens_for(desk.records.engine, "before_cursor_execute")
    def keep(_: object, __: object, statement: str, parameters: Any, *more: object) -> None:
        is_many = bool(more[-1])
        ran.append((statement, parameters[0] if is_many else parameters))

    await erased(desk)
    event.remove(desk.records.engine, "before_cursor_execute", keep)
    scanned = set()
    with desk.records.engine.connect() as connection:
        for statement, parameters in ran:
            if statement.startswith(("SELECT", "UPDATE", "DELETE")):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
                scanned |= {row.detail for row in plan if row.detail.startswith("SCAN")}
    await desk.records.close()
    assert len(ran) > 15
    assert scanned == {"SCAN schedules", "SCAN alert_groups"}


async def test_a_letter_that_comes_in_while_its_task_is_erased_waits_for_that(desk: Desk) -> None:
    failed = await ANN.failed(desk)
    engine = open_engine(desk.records.engine.url.render_as_string(hide_password=False), connections=2)
    try:
        with engine.connect() as erasing:
            with erasing.begin():
                erase_persons(erasing, [step()])
                coming = asyncio.create_task(desk.came(ANN.letter(failed)))
                await eventually(partial(is_held_up, engine))
            await coming
    finally:
        engine.dispose()
    assert telling(await everything(desk), ANN.word) == {}


async def is_held_up(engine: Engine) -> bool:
    """Whether somebody waits for a lock; a SQLite file has one writer in any case."""
    if engine.dialect.name == "sqlite":
        return True
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    def count() -> bool:
        with engine.connect() as connection:
            return bool(connection.scalar(waiting))

    return await asyncio.to_thread(count)
