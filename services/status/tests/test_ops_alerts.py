import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Connection, select

from waybill_contracts.kinds.catalog import CATALOG
from waybill_contracts.kinds.emails import EmailRequested
from waybill_contracts.kinds.users import UserCreated
from waybill_contracts.privacy.seal import NO_KEYS
from waybill_contracts.registry import built_in_registry
from waybill_contracts.wire.lifecycle import (
    MAX_ERROR_MESSAGE_LENGTH,
    DeadReason,
    ErrorInfo,
    LifecycleData,
    LifecycleType,
)
from waybill_database import Records
from waybill_ledger import (
    AlertPolicy,
    Failure,
    Persons,
    SpawnTerms,
    Submission,
    TaskFilter,
    accept,
    list_tasks,
)
from waybill_ledger.schema.tables import OUTBOX, TASKS
from waybill_status.alerts.alerts import ABOUT, Alerts
from waybill_status.alerts.digests import Digests
from waybill_status.handlers import Merge, apply_lifecycle
from waybill_status.upkeep.metrics import StatusMetrics
from waybill_testkit.eventually import eventually
from waybill_testkit.samples import NOON, new_task, reported

OPS = "ops@example.test"
POLICY = AlertPolicy(window=timedelta(minutes=15), most_at_once=5, quiet=timedelta(days=1))
#: Its windows have ended whenever one looks.
HASTY = AlertPolicy(window=timedelta(0), most_at_once=5, quiet=timedelta(days=1))


def alerts(policy: AlertPolicy = POLICY) -> Alerts:
    return Alerts(OPS, "https://jobs.example.test/", policy, keyring=NO_KEYS, registry=built_in_registry)


def terms_of(records: Records) -> Callable[[], SpawnTerms]:
    return lambda: SpawnTerms(records.now(), built_in_registry(), NO_KEYS, Persons(None))


def failure_of(
    kind: str = UserCreated.KIND, about: str = "ann@example.test", data: LifecycleData | None = None
) -> Failure:
    return Failure(
        "t1", kind, about, "order-7", data or reported(LifecycleType.DEAD, "t1", attempt=4).data, NOON
    )


async def mails(records: Records) -> list[EmailRequested]:
    """The mails to the operators that are in the outbox."""

    def read(connection: Connection) -> list[EmailRequested]:
        payloads = connection.scalars(
            select(TASKS.c.payload)
            .join(OUTBOX, OUTBOX.c.task_id == TASKS.c.id)
            .where(TASKS.c.about == ABOUT)
            .order_by(TASKS.c.id)
        )
        return [EmailRequested.model_validate_json(payload) for payload in payloads]

    return await records.read(read)


async def mails_after(records: Records, *failures: Failure) -> list[EmailRequested]:
    def tell(connection: Connection, batch: Sequence[Failure]) -> list[None]:
        alerts().report(connection, batch, NOON)
        return [None] * len(batch)

    await asyncio.gather(*(records.write(tell, failure) for failure in failures))
    return await mails(records)


async def test_a_failure_is_told_to_the_operators_with_a_way_to_it(records: Records) -> None:
    (mail,) = await mails_after(records, failure_of())

    assert (mail.to, mail.template) == (OPS, "ops_alert")
    assert mail.params == {
        "task_id": "t1",
        "kind": "user.created",
        "service": "email",
        "error_type": "TransientError",
        "error_message": "refused",
        "attempts": 4,
        "failed_at": "2026-03-01T12:00:00+00:00",
        "task_url": "https://jobs.example.test/v1/tasks/t1",
    }


async def test_the_mail_has_the_correlation_id_of_what_failed(records: Records) -> None:
    await mails_after(records, failure_of())
    page = await records.read(lambda c: list_tasks(c, TaskFilter(), limit=9, cursor=None))

    assert [(task.correlation_id, task.created_at, task.due_at) for task in page.tasks] == [
        ("order-7", NOON, None)
    ]


async def test_there_is_no_alert_about_the_alert_itself(records: Records) -> None:
    assert await mails_after(records, failure_of(EmailRequested.KIND, ABOUT)) == []
    # Nor is it counted.
    assert await Digests(records, alerts(HASTY)).end_window() is None


async def test_another_mail_that_fails_is_told(records: Records) -> None:
    assert len(await mails_after(records, failure_of(EmailRequested.KIND))) == 1


@pytest.mark.parametrize("kind", sorted(set(CATALOG) - {EmailRequested.KIND}))
async def test_what_concerns_the_operators_address_otherwise_is_told(records: Records, kind: str) -> None:
    assert len(await mails_after(records, failure_of(kind, ABOUT))) == 1


async def test_the_longest_error_that_the_wire_allows_makes_an_alert_and_a_digest(records: Records) -> None:
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
    await mails_after(records, failure, failure)
    await Digests(records, alerts()).end_window()

    assert [mail.template for mail in await mails(records)] == ["ops_alert", "ops_digest"]


async def test_two_thousand_failures_of_three_kinds_make_three_mails_and_one_digest(
    records: Records, ledger_url: str
) -> None:
    """Never a mail storm, though each failure is told to two status services that also look for digests."""
    tasks = [new_task() for _ in range(2000)]
    await asyncio.gather(*(records.write(accept, Submission(task)) for task in tasks))
    words = (
        "550 5.1.1 user {} is unknown",
        "target 'crm' answered 422: order-{}",
        "no answer from smtp-{}.example.com:25",
    )
    deaths = []
    for number, task in enumerate(tasks):
        event = reported(LifecycleType.DEAD, task.id)
        error = ErrorInfo(type="PermanentError", message=words[number % 3].format(number))
        deaths.append(event.model_copy(update={"data": event.data.model_copy(update={"error": error})}))
    messages = [deaths[start : start + 20] for start in range(0, len(deaths), 20)]
    other = Records(ledger_url)
    services = [
        (each, Merge(alerts(HASTY), StatusMetrics(CollectorRegistry()), terms_of(each), prefetch=50))
        for each in (records, other)
    ]
    await asyncio.gather(
        *(apply_lifecycle(message, *service) for message in messages for service in services)
    )
    digests = [Digests(each, alerts(HASTY)) for each, _ in services]
    sent = await asyncio.gather(*(each.end_window() for each in digests))
    again = await asyncio.gather(*(each.end_window() for each in digests))
    told_in = await mails(records)
    await other.close()

    assert [mail.template for mail in told_in] == ["ops_alert"] * 3 + ["ops_digest"]
    assert sum(digest is not None for digest in sent) == 1
    assert again == [None, None]
    digest = told_in[-1].params
    assert (digest["failures"], digest["kinds"]) == (1997, 3)
    assert sorted(group["count"] for group in digest["groups"]) == [665, 666, 666]
    assert {group["task_url"][:37] for group in digest["groups"]} == {"https://jobs.example.test/v1/tasks/01"}


async def test_digests_are_sent_without_being_asked_for(records: Records) -> None:
    await mails_after(records, failure_of(), failure_of())
    digests = Digests(records, alerts())
    digests.start()
    try:
        await eventually(lambda: _has_digest(records))
    finally:
        await digests.stop()


async def _has_digest(records: Records) -> bool:
    return [mail.template for mail in await mails(records)] == ["ops_alert", "ops_digest"]
