"""Spawned tasks in the ledger: accepted in the transaction of their parent's outcome, each once."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, delete, select, update

from waybill_contracts.events import Event
from waybill_contracts.kinds import EmailRequested
from waybill_contracts.privacy import Keyring, is_sealed
from waybill_contracts.registry import Registry, built_in_registry
from waybill_contracts.states import State
from waybill_contracts.wire import LifecycleEvent, LifecycleType, SpawnedTask, spawned_task_id
from waybill_ledger import (
    LOW_PRIORITY,
    Failure,
    NewTask,
    Persons,
    PruneStep,
    SpawnTerms,
    Submission,
    Task,
    TaskFilter,
    Touch,
    accept,
    accept_spawned,
    apply_events,
    get_task,
    get_timeline,
    list_tasks,
    prune_tasks,
    record_stored,
    touch_files,
)
from waybill_ledger.registry import RetireService, load_registry, retire_services
from waybill_ledger.schema.tables import OUTBOX, SUBTASKS, TASK_FILES, TASKS
from waybill_testkit.samples import NOON, email_event, image_event, new_task, reported, sync_event, user_event

COMPLETED, DEAD = LifecycleType.COMPLETED, LifecycleType.DEAD
KEYRING = Keyring.of(Keyring.new_key())
PERSONS = Persons(b"0123456789abcdef")
LATER = NOON + timedelta(minutes=1)
TERMS = SpawnTerms(LATER, built_in_registry(), KEYRING, PERSONS)


@pytest.fixture
def parent(engine: Engine) -> NewTask:
    """A task with two subtasks, of a tenant, a caller and a person."""
    person = PERSONS.digest("ann@example.test")
    task = new_task(user_event(), KEYRING, tenant="shop", correlation_id="order-7", person=person)
    with engine.begin() as connection:
        accept(connection, [Submission(task)])
    return task


def spawned(
    parent: NewTask, *events: Event, service: str = "email", **fields: Any
) -> tuple[SpawnedTask, ...]:
    def made(number: int, event: Event) -> SpawnedTask:
        id_ = spawned_task_id(parent.id, f"{parent.id}.{service}", number)
        payload = KEYRING.sealed_payload(event, id_).decode()
        return SpawnedTask(id=id_, kind=event.KIND, dataschema=event.dataschema(), payload=payload, **fields)

    return tuple(made(number, event) for number, event in enumerate(events))


def done(
    parent: NewTask, *tasks: SpawnedTask, type_: LifecycleType = COMPLETED, **fields: Any
) -> LifecycleEvent:
    event = reported(type_, parent.id, kind=parent.kind, **fields)
    return event.model_copy(update={"data": event.data.model_copy(update={"spawned": tasks})})


def applied(engine: Engine, *events: LifecycleEvent, terms: SpawnTerms = TERMS) -> list[Failure]:
    """What the status service does with a message."""
    with engine.begin() as connection:
        merged = apply_events(connection, events)
        accepted = accept_spawned(connection, merged.spawned, terms)
        return merged.failures + apply_events(connection, accepted.refusals).failures


def children(engine: Engine, parent: NewTask) -> list[Task]:
    """The children, the oldest submission first."""
    with engine.begin() as connection:
        listed = list_tasks(connection, TaskFilter(parent=parent.id), limit=100, cursor=None).tasks
        shown = get_task(connection, parent.id)
    assert shown is not None
    assert shown.children == len(listed)
    return sorted(listed, key=lambda task: task.about)


def row(engine: Engine, task_id: str) -> Any:
    with engine.begin() as connection:
        return connection.execute(select(TASKS).where(TASKS.c.id == task_id)).one()


def in_outbox(engine: Engine, task_id: str) -> list[Any]:
    with engine.begin() as connection:
        return list(connection.execute(select(OUTBOX).where(OUTBOX.c.task_id == task_id)))


def test_children_are_accepted_with_the_outcome_and_inherit(engine: Engine, parent: NewTask) -> None:
    mail, record = spawned(parent, email_event("bob@example.test"), sync_event())
    applied(engine, done(parent, mail, record))
    first, second = children(engine, parent)
    of_mail, of_record = row(engine, mail.id), row(engine, record.id)

    assert {first.id, second.id} == {mail.id, record.id}
    assert (first.parent_id, first.parent_service) == (parent.id, "email")
    assert [(s.service, s.state) for s in first.subtasks] == [("email", State.PENDING)]
    for child in (of_mail, of_record):
        assert (child.tenant, child.correlation_id, child.created_at) == ("shop", "order-7", LATER)
        assert child.traceparent == parent.traceparent
        assert [each.available_at for each in in_outbox(engine, child.id)] == [LATER]
    # Its own person if it has one, else that of its parent: erasure finds both.
    assert of_mail.person == PERSONS.digest("bob@example.test")
    assert of_record.person == parent.person
    assert of_mail.about == "b***@example.test"
    payload = json.loads(of_mail.payload)
    assert all(is_sealed(payload[name]) for name in ("to", "subject", "text"))
    opened = KEYRING.open_fields(payload, mail.id)
    assert EmailRequested.model_validate(opened) == email_event("bob@example.test")
    with engine.begin() as connection:
        [fact] = get_timeline(connection, parent.id)
    assert fact.details["spawned"] == 2


def test_the_trace_of_the_attempt_goes_on(engine: Engine, parent: NewTask) -> None:
    [mail] = spawned(parent, email_event())
    trace = f"00-{'1' * 32}-{'2' * 16}-01"
    applied(engine, done(parent, mail).model_copy(update={"traceparent": trace}))

    assert row(engine, mail.id).traceparent == trace


def test_time_and_priority_are_as_submitted(engine: Engine, parent: NewTask) -> None:
    due = LATER + timedelta(hours=1)
    [later] = spawned(parent, email_event(), due_at=due)
    [low] = spawned(parent, email_event(), service="sync", priority="low", due_at=LATER)
    applied(engine, done(parent, later), done(parent, low, service="sync"))

    assert (row(engine, later.id).state, row(engine, later.id).due_at) == (State.SCHEDULED, due)
    assert (row(engine, low.id).state, row(engine, low.id).due_at) == (State.PENDING, None)
    assert row(engine, low.id).priority == LOW_PRIORITY
    assert [each.held for each in in_outbox(engine, low.id)] == [True]


def test_a_report_that_comes_again_makes_none_twice(engine: Engine, parent: NewTask) -> None:
    event = done(parent, *spawned(parent, email_event("a@example.test"), email_event("b@example.test")))
    applied(engine, event, event)
    applied(engine, event)

    assert len(children(engine, parent)) == 2
    with engine.begin() as connection:
        assert len(connection.execute(select(SUBTASKS).where(SUBTASKS.c.task_id != parent.id)).all()) == 2


def test_of_two_runs_that_completed_only_the_first_that_is_applied_spawns(
    engine: Engine, parent: NewTask
) -> None:
    first = spawned(parent, email_event("a@example.test"))
    more = spawned(parent, email_event("b@example.test"), email_event("c@example.test"))
    applied(engine, done(parent, *first))
    applied(engine, done(parent, *more, attempt=2))

    assert [child.about for child in children(engine, parent)] == ["a***@example.test"]


def test_each_subtask_spawns_its_own(engine: Engine, parent: NewTask) -> None:
    applied(
        engine,
        done(parent, *spawned(parent, email_event("a@example.test"))),
        done(parent, *spawned(parent, email_event("b@example.test"), service="sync"), service="sync"),
    )

    assert [child.parent_service for child in children(engine, parent)] == ["email", "sync"]


def test_a_redriven_subtask_spawns_once_with_the_outcome_that_counts(engine: Engine, parent: NewTask) -> None:
    tasks = spawned(parent, email_event("a@example.test"))
    applied(engine, reported(DEAD, parent.id, kind=parent.kind))
    applied(engine, reported(LifecycleType.STARTED, parent.id, kind=parent.kind, redrive_no=1))
    # The outcome of the run before the redrive comes late, and is not applied.
    applied(engine, done(parent, *tasks))
    assert children(engine, parent) == []
    applied(engine, done(parent, *tasks, redrive_no=1))
    applied(engine, done(parent, *tasks, redrive_no=1))

    assert [child.id for child in children(engine, parent)] == [tasks[0].id]


@pytest.mark.parametrize("type_", [LifecycleType.STARTED, LifecycleType.CANCELLED])
def test_only_a_completed_outcome_spawns(engine: Engine, parent: NewTask, type_: LifecycleType) -> None:
    applied(engine, done(parent, *spawned(parent, email_event()), type_=type_))
    assert children(engine, parent) == []


def test_an_erased_task_spawns_nothing(engine: Engine, parent: NewTask) -> None:
    with engine.begin() as connection:
        connection.execute(update(TASKS).where(TASKS.c.id == parent.id).values(erased_at=NOON))
    applied(engine, done(parent, *spawned(parent, email_event())))

    assert children(engine, parent) == []


def test_nothing_is_accepted_if_the_outcome_is_not(engine: Engine, parent: NewTask) -> None:
    event = done(parent, *spawned(parent, email_event()))
    with engine.connect() as connection:
        # As where the process dies right before the commit.
        accept_spawned(connection, apply_events(connection, [event]).spawned, TERMS)
        connection.rollback()
    assert children(engine, parent) == []
    applied(engine, event)

    assert len(children(engine, parent)) == 1


def without(kind: str) -> Registry:
    registry = built_in_registry()
    return replace(registry, kinds={name: each for name, each in registry.kinds.items() if name != kind})


def broken(parent: NewTask) -> Iterator[tuple[str, SpawnedTask, str]]:
    [task] = spawned(parent, email_event())
    [picture] = spawned(parent, image_event())
    yield "retired", picture, "No service handles image.uploaded any more."
    unknown = task.model_copy(update={"kind": "nobody.knows", "dataschema": "urn:waybill:nobody.knows:v1"})
    yield "unknown", unknown, "No service has registered the kind nobody.knows."
    unfit = task.model_copy(update={"payload": '{"subject": "Hello"}'})
    yield "unfit", unfit, "breaks the registered contract"
    no_object = task.model_copy(update={"payload": "[1]"})
    yield "no object", no_object, "not a JSON object"
    moved = task.model_copy(update={"id": spawned_task_id(parent.id, "other", 0)})
    yield "moved", moved, "cannot be opened"


@pytest.mark.parametrize("case", ["retired", "unknown", "unfit", "no object", "moved"])
def test_what_no_service_can_do_is_accepted_as_failed_and_blocks_nothing(
    engine: Engine, parent: NewTask, case: str
) -> None:
    [(_, bad, words)] = [each for each in broken(parent) if each[0] == case]
    with engine.begin() as connection:
        retire_services(connection, [RetireService("images", NOON, "ann")])
        registry = load_registry(connection)
    [good] = spawned(parent, sync_event(), service="other")
    failures = applied(engine, done(parent, bad, good), terms=replace(TERMS, registry=registry))
    stored = row(engine, bad.id)
    with engine.begin() as connection:
        failed, fine = get_task(connection, bad.id), get_task(connection, good.id)
        [fact] = get_timeline(connection, bad.id)
    assert failed is not None
    assert fine is not None

    assert (failed.state, failed.completed_at, fine.state) == (State.FAILED, LATER, State.PENDING)
    [subtask] = failed.subtasks
    assert (subtask.service, subtask.state) == ("email", State.FAILED)
    assert subtask.error is not None
    assert words in subtask.error["message"]
    assert (fact.type, fact.details["reason"]) == ("task.dead", "permanent")
    assert stored.payload == bad.payload.encode()
    assert stored.person == parent.person
    assert in_outbox(engine, bad.id) == []
    assert [failure.task_id for failure in failures] == [bad.id]
    assert row(engine, parent.id).id == parent.id


def test_a_child_keeps_its_file_and_fails_without_one_of_its_tenant(engine: Engine, parent: NewTask) -> None:
    keys = [
        f"files/{tenant}/aa/{64 * digit}"
        for tenant, digit in (("shop", "a"), ("default", "b"), ("shop", "c"))
    ]
    with engine.begin() as connection:
        uploads = [Touch(key, NOON) for key in keys[:2]]
        touch_files(connection, uploads)
        record_stored(connection, uploads)
    good, foreign, missing = spawned(
        parent, *(image_event().model_copy(update={"source_key": key}) for key in keys)
    )
    failures = applied(engine, done(parent, good, foreign, missing))

    assert {failure.task_id for failure in failures} == {foreign.id, missing.id}
    assert [failure.data.error.type for failure in failures if failure.data.error] == 2 * [
        "FilesMissingError"
    ]
    assert [len(in_outbox(engine, child.id)) for child in (good, foreign, missing)] == [1, 0, 0]
    with engine.begin() as connection:
        assert connection.execute(select(TASK_FILES)).all() == [(good.id, keys[0])]


def test_a_kind_that_was_registered_just_now_is_found(engine: Engine, parent: NewTask) -> None:
    tasks = spawned(parent, email_event())
    applied(engine, done(parent, *tasks), terms=replace(TERMS, registry=without("email.requested")))

    [child] = children(engine, parent)
    assert child.state is State.PENDING


def test_a_version_that_is_not_registered_waits_for_the_release_that_reads_it(
    engine: Engine, parent: NewTask
) -> None:
    [task] = spawned(parent, email_event("bob@example.test"))
    newer = task.model_copy(update={"dataschema": "urn:waybill:email.requested:v99"})
    applied(engine, done(parent, newer))
    stored = row(engine, task.id)

    assert (stored.dataschema, stored.payload) == (newer.dataschema, task.payload.encode())
    assert stored.person == PERSONS.digest("bob@example.test")


def test_without_the_key_of_its_sender_a_task_is_accepted_as_it_is(engine: Engine, parent: NewTask) -> None:
    [task] = spawned(parent, email_event("bob@example.test"))
    other = Keyring.of(Keyring.new_key())
    applied(engine, done(parent, task), terms=replace(TERMS, keyring=other))
    stored = row(engine, task.id)

    assert (stored.state, stored.payload) == (State.PENDING, task.payload.encode())
    assert (stored.person, stored.about) == (parent.person, "")


def test_what_the_registered_contract_marks_is_sealed_though_its_sender_did_not(
    engine: Engine, parent: NewTask
) -> None:
    [task] = spawned(parent, email_event())
    plain = task.model_copy(
        update={"payload": email_event("bob@example.test").model_dump_json(exclude_defaults=True)}
    )
    applied(engine, done(parent, plain))
    stored = row(engine, task.id)

    assert b"bob" not in stored.payload
    assert KEYRING.open_fields(json.loads(stored.payload), task.id)["to"] == "bob@example.test"


def test_a_young_child_of_an_old_task_does_not_end_the_pruning_of_others(
    engine: Engine, parent: NewTask
) -> None:
    month = timedelta(days=30)
    [child] = spawned(parent, email_event())
    others = [new_task(), new_task()]
    with engine.begin() as connection:
        accept(connection, [Submission(task) for task in others])
        connection.execute(delete(OUTBOX))
    both = (done(parent, child), done(parent, service="sync"))
    applied(
        engine,
        *both,
        *(reported(COMPLETED, task.id) for task in others),
        terms=replace(TERMS, now=NOON + month),
    )
    applied(engine, reported(COMPLETED, child.id, seconds_after=month.total_seconds()))
    with engine.begin() as connection:
        connection.execute(delete(OUTBOX))

    gone, after = 0, ""
    while True:
        step = PruneStep(State.COMPLETED, NOON + timedelta(days=1), NOON + month, 2, after=after)
        with engine.begin() as connection:
            [pruned] = prune_tasks(connection, [step])
        gone += pruned.tasks
        if pruned.after is None:
            break
        after = pruned.after
    assert gone == 3
    assert row(engine, child.id).parent_id == parent.id


def test_a_thousand_are_accepted_at_once(engine: Engine, parent: NewTask) -> None:
    applied(engine, done(parent, *spawned(parent, *[sync_event(f"{n}") for n in range(1000)])))

    with engine.begin() as connection:
        shown = get_task(connection, parent.id)
    assert shown is not None
    assert shown.children == 1000
