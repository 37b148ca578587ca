from datetime import timedelta

import pytest

from contracts.catalog import CATALOG
from contracts.events import EmailRequested, UserCreated
from contracts.lifecycle import MAX_ERROR_MESSAGE_LENGTH, DeadReason, ErrorInfo, LifecycleData, LifecycleType
from devstack.samples import NOON, told
from ledger import Failure, NewTask
from status_service.alerts import alert_for

OPS = "ops@example.test"


def failure_of(
    kind: str = UserCreated.KIND, about: str = "ann@example.test", data: LifecycleData | None = None
) -> Failure:
    return Failure("t1", kind, about, "order-7", data or told(LifecycleType.DEAD, "t1", attempt=4).data, NOON)


def alert(failure: Failure) -> NewTask | None:
    return alert_for(failure, ops_address=OPS, public_url="https://jobs.example.test/", now=NOON)


def test_a_failure_is_told_to_the_operators_with_a_way_to_it() -> None:
    task = alert(failure_of())

    assert task is not None
    assert isinstance(task.event, EmailRequested)
    assert (task.event.to, task.event.template, task.about) == (OPS, "ops_alert", OPS)
    assert task.event.params == {
        "task_id": "t1",
        "kind": "user.created",
        "service": "email",
        "error_type": "TransientError",
        "error_message": "refused",
        "attempts": 4,
        "failed_at": "2026-03-01T12:00:00+00:00",
        "task_url": "https://jobs.example.test/v1/tasks/t1",
    }
    assert (task.correlation_id, task.created_at, task.due_at) == ("order-7", NOON, None)


def test_there_is_no_alert_about_the_alert_itself() -> None:
    assert alert(failure_of(EmailRequested.KIND, OPS)) is None


def test_another_mail_that_fails_is_told() -> None:
    assert alert(failure_of(EmailRequested.KIND)) is not None


@pytest.mark.parametrize("kind", sorted(set(CATALOG) - {EmailRequested.KIND}))
def test_what_concerns_the_operators_address_otherwise_is_told(kind: str) -> None:
    assert alert(failure_of(kind, OPS)) is not None


def test_the_longest_error_that_the_wire_allows_makes_an_alert() -> None:
    data = LifecycleData(
        task_id="t1",
        service="email",
        kind="k" * 255,
        redrive_no=0,
        attempt=1,
        max_attempts=1,
        error=ErrorInfo(type="E" * 200, message="\x00é" * (MAX_ERROR_MESSAGE_LENGTH // 2)),
        reason=DeadReason.PERMANENT,
    )
    failure = Failure("t1", "user.created", "Ann", "order-7", data, NOON + timedelta(microseconds=1))

    assert alert(failure) is not None
