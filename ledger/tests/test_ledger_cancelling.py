from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine

from waybill_contracts.states import State
from waybill_contracts.wire.control import CancelRequested
from waybill_contracts.wire.lifecycle import LifecycleType
from waybill_contracts.wire.names import EXCHANGE_CONTROL
from waybill_ledger import (
    Cancellation,
    NewTask,
    PendingMessage,
    Prevented,
    Stopping,
    Submission,
    Sweep,
    TooLate,
    accept,
    apply_events,
    cancel,
    get_task,
    get_timeline,
    take_due,
)
from waybill_testkit.samples import NOON, new_task, reported, user_event

SOON = NOON + timedelta(hours=1)


def accepted(engine: Engine, task: NewTask) -> str:
    with engine.begin() as connection:
        accept(connection, [Submission(task)])
    return task.id


def cancelled(engine: Engine, task_id: str, now: datetime = NOON) -> Prevented | Stopping | TooLate | None:
    with engine.begin() as connection:
        (answer,) = cancel(connection, [Cancellation(task_id, now)])
    return answer


def swept(engine: Engine, now: datetime) -> list[PendingMessage]:
    with engine.begin() as connection:
        (messages,) = take_due(connection, [Sweep(now, now + timedelta(minutes=1), 100)])
    return messages


def state(engine: Engine, task_id: str) -> State:
    with engine.connect() as connection:
        task = get_task(connection, task_id)
    assert task is not None
    return task.state


def test_a_scheduled_task_is_prevented_for_good(engine: Engine) -> None:
    task_id = accepted(engine, new_task(user_event(), due_at=SOON))
    assert cancelled(engine, task_id) == Prevented()
    assert state(engine, task_id) is State.CANCELLED
    assert swept(engine, SOON + timedelta(days=1)) == []
    with engine.connect() as connection:
        facts = [(entry.type, entry.service) for entry in get_timeline(connection, task_id)]
    assert facts == [("task.cancelled", "email"), ("task.cancelled", "sync")]
    assert cancelled(engine, task_id) == Prevented(), "asking again is answered alike"


def test_the_services_are_told_of_a_task_that_has_left(engine: Engine) -> None:
    task_id = accepted(engine, new_task())
    answer = cancelled(engine, task_id)
    assert isinstance(answer, Stopping)
    (message,) = answer.messages
    assert (message.exchange, message.routing_key) == (EXCHANGE_CONTROL, "email")
    request = CancelRequested.model_validate_json(message.body)
    assert request == CancelRequested(task_id=task_id, requested_at=NOON)
    assert state(engine, task_id) is State.PENDING, "only the services know what becomes of it"
    assert cancelled(engine, task_id) == Stopping(), "asking again tells nobody twice"


def test_each_service_with_a_part_in_the_task_is_told_also_one_whose_part_may_be_redriven(
    engine: Engine,
) -> None:
    task_id = accepted(engine, new_task(user_event()))
    with engine.begin() as connection:
        apply_events(connection, [reported(LifecycleType.DEAD, task_id, service="email")])
    answer = cancelled(engine, task_id)
    assert isinstance(answer, Stopping)
    assert sorted(message.routing_key for message in answer.messages) == ["email", "sync"]


def test_a_gateway_that_dies_after_the_commit_leaves_the_telling_to_the_sweep(engine: Engine) -> None:
    task_id = accepted(engine, new_task())
    answer = cancelled(engine, task_id)
    assert isinstance(answer, Stopping)
    messages = swept(engine, NOON + timedelta(minutes=5))
    assert set(answer.messages) <= set(messages)


@pytest.mark.parametrize(
    ("type_", "outcome"),
    [(LifecycleType.COMPLETED, State.COMPLETED), (LifecycleType.DEAD, State.FAILED)],
)
def test_an_outcome_is_not_cancelled(engine: Engine, type_: LifecycleType, outcome: State) -> None:
    task_id = accepted(engine, new_task())
    with engine.begin() as connection:
        apply_events(connection, [reported(type_, task_id)])
    assert cancelled(engine, task_id) == TooLate(outcome)


def test_no_such_task(engine: Engine) -> None:
    assert cancelled(engine, "00000000-0000-7000-8000-000000000000") is None


def test_a_task_that_is_just_being_released_is_either_prevented_or_told(engine: Engine) -> None:
    """Whichever of the two is first, the other sees what it left: never both, never neither."""
    for _ in range(10):
        task_id = accepted(engine, new_task(due_at=SOON))
        with ThreadPoolExecutor(1) as thread:
            sweeping = thread.submit(swept, engine, SOON)
            answer = cancelled(engine, task_id, SOON)
            released = task_id in [message.envelope.task_id for message in sweeping.result()]
        assert isinstance(answer, Stopping if released else Prevented)
