"""Tasks that handlers submit: collected, sealed, and part of the outcome."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, cast
from uuid import UUID

import pytest
from faststream.rabbit import RabbitBroker
from pydantic import BaseModel

from waybill_contracts.events import Event, Sensitive
from waybill_contracts.kinds import EmailRequested, SyncRequested
from waybill_contracts.privacy import Keyring
from waybill_contracts.wire import (
    LIFECYCLE_BATCH,
    MAX_SPAWNED,
    MAX_SPAWNED_BYTES,
    DeadReason,
    LifecycleEvent,
    LifecycleType,
    SpawnedTask,
    spawned_task_id,
)
from waybill_database import Records
from waybill_ledger import new_task_id
from waybill_testkit.eventually import eventually
from waybill_testkit.samples import NOON, email_event, envelope_of, reported, sync_event
from waybill_worker.attempt import Attempt, Attempts, Work
from waybill_worker.attempt.handlers import handler
from waybill_worker.attempt.retry_policy import RetryPolicy
from waybill_worker.errors import TransientError
from waybill_worker.inbox import AlreadyDone, Claimed, Inbox
from waybill_worker.limits import RunningHandlers, Watchdog
from waybill_worker.outcome import OUTCOME, Completed, Died, Outcome, RetryLater, Snoozed
from waybill_worker.outputs import no_keyring
from waybill_worker.publish import OutgoingMessage, Publisher, Reporter, outcome_event

POLICY = RetryPolicy(max_attempts=3, base_seconds=1, cap_seconds=1, jitter=0)
KEYRING = Keyring.of(Keyring.new_key())
TASK = new_task_id()


class Plain(Event, kind="note.written"):
    """A kind without sensitive fields."""

    text: str = ""


class Recipient(BaseModel):
    """Part of an event."""

    email: Annotated[str, Sensitive]


class Nested(Event, kind="note.sent"):
    """A kind with a sensitive field within another."""

    to: Recipient
    text: str


class ListPublisher(Publisher):
    """Keeps what is published."""

    def __init__(self) -> None:
        super().__init__(RabbitBroker(logger=None), timeout_seconds=1)
        self.batches: list[list[LifecycleEvent]] = []

    async def publish(self, message: OutgoingMessage) -> None:
        self.batches.append(LIFECYCLE_BATCH.validate_json(message.body))


class Bench:
    """Attempts of a service whose handler the test gives."""

    def __init__(self, records: Records, keyring: Callable[[], Keyring] | None = None) -> None:
        self.inbox = Inbox(records, "email", lease_seconds=300)
        self.inbox.make_table()
        self.publisher = ListPublisher()
        reporter = Reporter(self.publisher)
        self.attempts = Attempts(
            "email", self.inbox, reporter, Watchdog(), RunningHandlers(), keyring=keyring or no_keyring
        )

    async def run(self, submitting: Callable[[Attempt], object], *, task_id: str = TASK) -> Outcome:
        """Runs an attempt whose handler only submits."""

        async def handle(_event: EmailRequested, attempt: Attempt) -> dict[str, Any]:
            submitting(attempt)
            return {}

        event = email_event()
        self.envelope = envelope_of(event, task_id)
        self.claim = await self.inbox.claim(self.envelope)
        assert isinstance(self.claim, Claimed)
        work = Work(self.envelope, event, handler(EmailRequested, handle, POLICY))
        outcome = await self.attempts.run(work, self.claim, None)
        # Nothing is left that would be reported while the event loop closes.
        await eventually(lambda: self.publisher.batches)
        return outcome


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    records = Records(f"sqlite:///{tmp_path}/inbox.db")
    yield records
    await records.close()


def spawned(outcome: Outcome) -> tuple[SpawnedTask, ...]:
    assert isinstance(outcome, Completed)
    assert outcome.spawned is not None
    return outcome.spawned


async def test_what_is_submitted_is_sealed_and_part_of_the_outcome(records: Records) -> None:
    ids: list[str] = []

    def submit(attempt: Attempt) -> None:
        ids.append(attempt.submit(email_event("bob@example.test"), priority="low"))
        ids.append(attempt.submit(Plain(text="hello"), delay_seconds=60))

    outcome = await Bench(records, lambda: KEYRING).run(submit)
    mail, note = spawned(outcome)

    assert [mail.id, note.id] == ids == [spawned_task_id(TASK, f"{TASK}.email", n) for n in (0, 1)]
    assert (mail.kind, mail.dataschema, mail.priority, mail.due_at) == (
        "email.requested",
        "urn:waybill:email.requested:v1",
        "low",
        None,
    )
    assert "bob" not in OUTCOME.dump_json(outcome).decode()
    opened = KEYRING.open_fields(json.loads(mail.payload), mail.id)
    assert EmailRequested.model_validate(opened) == email_event("bob@example.test")
    assert (json.loads(note.payload), note.priority) == ({"text": "hello"}, None)
    assert note.due_at is not None
    assert timedelta(seconds=50) < note.due_at - datetime.now(UTC) <= timedelta(seconds=60)


async def test_marks_within_nested_models_are_sealed_too(records: Records) -> None:
    event = Nested(to=Recipient(email="bob@example.test"), text="hello")
    [note] = spawned(await Bench(records, lambda: KEYRING).run(lambda a: a.submit(event)))

    assert "bob" not in note.payload
    assert Nested.model_validate(KEYRING.open_fields(json.loads(note.payload), note.id)) == event


async def test_nothing_is_submitted_by_an_attempt_that_does_not_complete(records: Records) -> None:
    def submit(attempt: Attempt) -> None:
        attempt.submit(Plain())
        raise TransientError("busy")

    outcome = await Bench(records).run(submit)

    assert isinstance(outcome, RetryLater)
    assert "spawned" not in OUTCOME.dump_json(outcome).decode()


async def test_a_repeat_of_the_attempt_gives_the_same_ids(records: Records) -> None:
    def submit(attempt: Attempt) -> None:
        for _ in range(3):
            attempt.submit(Plain())

    first = spawned(await Bench(records).run(submit))
    other = spawned(await Bench(records).run(submit, task_id=new_task_id()))
    bench = Bench(records)
    bench.inbox = Inbox(records, "email", lease_seconds=300)
    again = spawned(await bench.run(submit, task_id=new_task_id()))

    assert len({task.id for task in (*first, *other, *again)}) == 9
    assert [task.id for task in first] == [spawned_task_id(TASK, f"{TASK}.email", n) for n in range(3)]


def test_ids_are_those_of_the_effect_and_lie_beside_the_parent() -> None:
    ids = {spawned_task_id(TASK, key, 0) for key in (f"{TASK}.email", f"{TASK}.sync", f"{TASK}.email.edit-1")}

    assert len(ids) == 3
    assert all(each[:13] == TASK[:13] and UUID(each).version == 8 for each in ids)
    assert {UUID(each).variant for each in ids} == {UUID(TASK).variant}
    assert UUID(spawned_task_id("any text", "any text.email", 0)).version == 8


@pytest.mark.parametrize(
    ("submit", "words"),
    [
        (lambda a: [a.submit(Plain()) for _ in range(MAX_SPAWNED + 1)], "at most 1,000 tasks"),
        (
            lambda a: [a.submit(Plain(text="x" * 5000)) for _ in range(500)],
            "at most 2,097,152 bytes together",
        ),
        (
            lambda a: a.submit(Plain.model_construct(text=cast("str", 7))),
            "note.written cannot be submitted: 1 validation",
        ),
        (lambda a: a.submit(cast("Event", {"text": "x"})), "as an event, not as dict"),
        (lambda a: a.submit(Plain(), send_at=NOON, delay_seconds=1), "not both"),
        (lambda a: a.submit(Plain(), send_at=datetime(2030, 1, 1)), "needs a time zone"),  # noqa: DTZ001
        (lambda a: a.submit(Plain(), send_at=datetime(2999, 1, 1, tzinfo=UTC)), "ten years"),
        (lambda a: a.submit(Plain(), delay_seconds=-1), "between 0 and ten years"),
        (lambda a: a.submit(Plain(), delay_seconds=float("nan")), "between 0 and ten years"),
    ],
)
async def test_what_cannot_be_accepted_fails_the_attempt_for_good_at_once(
    records: Records, submit: Callable[[Attempt], object], words: str
) -> None:
    outcome = await Bench(records).run(submit)

    assert isinstance(outcome, Died)
    assert (outcome.reason, outcome.error.type) == (DeadReason.PERMANENT, "SubmissionRefusedError")
    assert words in outcome.error.message


async def test_the_largest_submissions_stay_below_their_limit(records: Records) -> None:
    def submit(attempt: Attempt) -> None:
        for _ in range(MAX_SPAWNED):
            attempt.submit(Plain(text='"' * 400))

    outcome = await Bench(records).run(submit)
    event = outcome_event("email", envelope_of(email_event(), TASK), outcome)

    assert len(spawned(outcome)) == MAX_SPAWNED
    assert MAX_SPAWNED_BYTES / 2 < len(event.model_dump_json(exclude_none=True)) < MAX_SPAWNED_BYTES


async def test_without_a_key_sensitive_fields_are_not_submitted_and_the_attempt_waits(
    records: Records,
) -> None:
    bench = Bench(records)
    outcome = await bench.run(lambda attempt: attempt.submit(sync_event()))

    assert isinstance(outcome, Snoozed)
    assert outcome.error.message == (
        "sync.requested has sensitive fields and cannot be submitted: "
        "this service was made without sealing keys"
    )
    assert bool(SyncRequested.sensitive_fields())


async def test_what_is_past_begins_at_once(records: Records) -> None:
    [task] = spawned(await Bench(records).run(lambda attempt: attempt.submit(Plain(), send_at=NOON)))
    assert task.due_at is None


async def test_nothing_is_submitted_once_the_handler_has_returned(records: Records) -> None:
    kept: list[Attempt] = []
    assert isinstance(await Bench(records).run(kept.append), Completed)

    with pytest.raises(RuntimeError, match="has returned"):
        kept[0].submit(Plain())


def test_an_attempt_that_no_service_runs_submits_nothing() -> None:
    attempt = Attempt(TASK, "email", "email.requested", TASK, 1, 3, 0, None)
    with pytest.raises(RuntimeError, match="no service runs this attempt"):
        attempt.submit(Plain())


async def test_a_recorded_outcome_is_reported_again_with_the_same_tasks(records: Records) -> None:
    bench = Bench(records)
    outcome = await bench.run(lambda attempt: attempt.submit(Plain()))
    assert isinstance(bench.claim, Claimed)
    await bench.inbox.record(bench.claim.owner, bench.envelope, outcome)
    ticket = await bench.inbox.claim(bench.envelope)

    assert ticket == AlreadyDone(outcome)
    event = outcome_event("email", bench.envelope, ticket.outcome)
    assert event.data.spawned == spawned(outcome)


def test_outcomes_of_older_releases_spawn_nothing() -> None:
    stored = '{"is_":"completed","at":"2026-03-01T12:00:00Z","seconds":1,"max_attempts":3,"result":{}}'
    outcome = OUTCOME.validate_json(stored)

    assert isinstance(outcome, Completed)
    assert outcome.spawned is None
    event = outcome_event("email", envelope_of(email_event(), TASK), outcome)
    assert b"spawned" not in LIFECYCLE_BATCH.dump_json([event], exclude_none=True)


async def test_reports_of_many_tasks_do_not_share_a_message() -> None:
    def report(number: int, size: int) -> LifecycleEvent:
        event = reported(LifecycleType.COMPLETED, f"t{number}")
        task = SpawnedTask(id=f"{number}", kind="a.b", dataschema="urn:a", payload="x" * size)
        return event.model_copy(update={"data": event.data.model_copy(update={"spawned": (task,)})})

    publisher = ListPublisher()
    reporter = Reporter(publisher)
    large = MAX_SPAWNED_BYTES * 2 // 3
    for number, size in enumerate((10, large, 10, large, large, 10)):
        reporter.emit(report(number, size))
    await reporter.emit_and_wait(report(9, 10))

    assert [len(batch) for batch in publisher.batches] == [3, 1, 3]
