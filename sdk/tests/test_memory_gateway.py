"""The gateway in memory: it answers as a real one does, records, and runs handlers."""

import asyncio
import io
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from waybill import AsyncClient, Attempt, Client, Event, FileRef, PermanentError, Service, Submission
from waybill.kinds import EmailRequested, SyncRequested
from waybill.problems import (
    ClientError,
    InvalidDataError,
    LedgerUnavailableError,
    ProblemError,
    TooLateError,
    UnreachableError,
)
from waybill.testing import MemoryGateway
from waybill_testkit.gateway.served import served

MAIL = EmailRequested(to="ada@example.com", subject="Hello", text="Good morning.")
CONTACT: dict[str, Any] = {"target": "crm", "resource": "contacts", "id": "7", "data": {}}
NO_TASK = "01a22a70-ebad-7341-b3c3-5bd5253e4852"


class ScanSent(Event, kind="scan.sent"):
    document: FileRef
    email: str


scans = Service("scans")


@scans.handles(ScanSent)
async def read_scan(event: ScanSent, attempt: Attempt) -> dict[str, object]:
    if event.email == "nobody":
        raise PermanentError("there is nobody to write to")
    content = await attempt.files.read(event.document)
    await attempt.files.write("copy.pdf", content)
    mail = EmailRequested(to=event.email, subject="Your scan", text="It is here.")
    return {"bytes": len(content), "mail": attempt.submit(mail)}


@scans.task
async def remind(email: str, days: int = 3) -> dict[str, object]:
    return {"email": email, "days": days}


def answer(question: Callable[[], Any]) -> Any:
    """What is answered, or the problem, without what differs from call to call."""
    try:
        found = question()
    except ProblemError as problem:
        return problem.status, problem.code, sorted(each.field for each in problem.errors)
    return found


def questions(client: Client) -> list[Any]:
    """Answers to calls that a gateway in memory answers, too."""
    first = client.submit(MAIL, key="mail-1")
    again = client.submit(MAIL, key="mail-1")
    later = client.submit("sync.requested", CONTACT, delay_seconds=60, priority="low")
    tasks = [Submission(MAIL, key="mail-2"), Submission("sync.requested", CONTACT, send_at=in_2100())]
    many = client.submit_many(tasks)
    wrong: list[Event | Submission] = [
        MAIL,
        Submission("sync.requested", CONTACT | {"id": 7}),
        Submission("order.placed", {}),
    ]
    scan = client.upload(b"scan", name="scan.pdf")
    found = client.get(later.id)
    one_key: list[Event | Submission] = [
        Submission(MAIL, key="mail-3"),
        Submission("sync.requested", CONTACT, key="mail-3"),
    ]
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    named = Submission(MAIL, key="mail-5", request_id="order-5", traceparent=trace)
    (traced,), (repeated,) = (client.submit_many([each]) for each in (named, Submission(MAIL, key="mail-5")))
    number = len([*client.list()])
    return [
        (first.id == again.id, first.kind, first.state),
        (found.kind, found.state, found.priority, found.due_at is not None, found.is_ended),
        [(each.kind, each.state) for each in many],
        [task.kind for task in client.list()],
        [task.kind for task in client.list(kind="email.requested", limit=1)],
        client.timeline(first.id).events[0].type,
        answer(lambda: client.submit("order.placed", {})),
        answer(lambda: client.submit("sync.requested", CONTACT | {"id": 7})),
        answer(lambda: client.submit("sync.requested", CONTACT, key="mail-1")),
        answer(lambda: client.submit_many(wrong)),
        answer(lambda: client.submit_many([Submission("sync.requested", CONTACT, key="mail-1")])),
        answer(lambda: client.submit_many(one_key)),
        len([*client.list()]) - number,
        len({each.id for each in client.submit_many([Submission(MAIL, key="mail-4")] * 2)}),
        answer(lambda: client.get(NO_TASK)),
        found.about,
        (traced.id == repeated.id, client.get(traced.id).correlation_id, client.get(traced.id).trace_id),
        client.cancel(later.id).outcome,
        [event.type for event in client.timeline(later.id).events],
        client.get(later.id).state,
        answer(lambda: client.cancel(later.id).outcome),
        (scan.key, scan.name, scan.content_type, scan.size_bytes),
        [each.name for each in client.files(first.id)],
        answer(lambda: client.download(first.id, "none.pdf", io.BytesIO())),
    ]


def in_2100() -> datetime:
    return datetime(2030, 1, 1, tzinfo=UTC)


def test_it_answers_as_a_real_gateway_does(tmp_path: Path) -> None:
    with served(tmp_path) as real, Client(real.url) as client:
        expected = questions(client)
    with MemoryGateway(EmailRequested, SyncRequested).client() as client:
        assert questions(client) == expected


def test_what_is_submitted_is_recorded() -> None:
    gateway = MemoryGateway()
    with gateway.client() as client:
        client.submit(MAIL, key="mail-1", priority="high")
        client.submit("order.placed", {"order_id": "17"})

    assert gateway.events(EmailRequested) == [MAIL]
    assert [(task.kind, task.key is None, task.priority) for task in gateway.tasks] == [
        ("email.requested", False, "high"),
        ("order.placed", False, "normal"),
    ]


async def test_it_takes_the_place_of_every_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYBILL_URL", "http://production.example.com")
    with MemoryGateway(scans, EmailRequested).installed() as gateway:
        async with AsyncClient() as client:
            await client.submit(MAIL)
        with Client("http://elsewhere.example.com") as client_of_its_own:
            client_of_its_own.submit(MAIL)
        remind.submit("ann@example.com")
        await remind.asubmit("bob@example.com", days=7)

    assert [task.kind for task in gateway.tasks] == ["email.requested"] * 2 + ["scans.remind"] * 2
    assert gateway.tasks[3].data == {"email": "bob@example.com", "days": 7}


async def test_handlers_are_run_and_what_they_spawn_is_submitted() -> None:
    gateway = MemoryGateway(scans, EmailRequested)
    async with gateway.async_client() as client:
        scan = await client.upload(b"scan", name="scan.pdf")
        task = await client.submit(ScanSent(document=scan, email="ann@example.com"))
        failed = await client.submit("scan.sent", {"document": {"key": scan.key}, "email": "nobody"})
        with pytest.raises(AssertionError, match="run_handlers"):
            await client.wait(task.id)
        ran = await gateway.run_handlers()

        assert [(each.kind, each.state) for each in ran] == [
            ("scan.sent", "completed"),
            ("scan.sent", "failed"),
        ]
        done = await client.wait(task.id)
        [file] = await client.files(task.id)
        copy = io.BytesIO()
        await client.download(task.id, file.name, copy)
        lost = await client.get(failed.id)
        with pytest.raises(TooLateError):
            await client.cancel(task.id)
    assert done.state == "completed"
    assert done.result is not None
    assert done.result["bytes"] == 4
    assert copy.getvalue() == b"scan"
    assert lost.subtasks[0].error == {"type": "PermanentError", "message": "there is nobody to write to"}
    [mail] = gateway.events(EmailRequested)
    assert mail.to == "ann@example.com"
    assert gateway.tasks[2].parent == (task.id, "scans")


async def test_a_task_that_begins_later_is_run_where_that_is_asked_for() -> None:
    gateway = MemoryGateway(scans)
    async with gateway.async_client() as client:
        await client.submit(remind.event("ann@example.com"), delay_seconds=60)
    assert await gateway.run_handlers() == []
    [task] = await gateway.run_handlers(scheduled=True)
    assert task.results == {"scans": {"email": "ann@example.com", "days": 3}}


async def test_an_error_of_a_handler_is_raised() -> None:
    broken = Service("broken")

    @broken.handles(ScanSent)
    async def fail(event: ScanSent, attempt: Attempt) -> None:
        raise ZeroDivisionError(f"{event.email} {attempt.attempt}")

    gateway = MemoryGateway(broken)
    async with gateway.async_client() as client:
        await client.submit("scan.sent", {"document": {"key": "files/a/00/" + "0" * 64}, "email": "ann"})
    with pytest.raises(ZeroDivisionError):
        await gateway.run_handlers()


def test_data_is_checked_by_the_contract_of_a_given_kind() -> None:
    with MemoryGateway(scans).client() as client, pytest.raises(InvalidDataError) as caught:
        client.submit("scan.sent", {"document": {"key": "nowhere"}, "email": 7})
    assert [each.field for each in caught.value.errors] == ["/data/document/key", "/data/email"]


def test_refusals_and_outages_can_be_had() -> None:
    gateway = MemoryGateway()
    with gateway.client(deadline=0.2) as client:
        with gateway.refusing("ledger_unavailable", status=503), pytest.raises(LedgerUnavailableError):
            client.submit(MAIL)
        with gateway.away(), pytest.raises(UnreachableError):
            client.submit(MAIL)
        assert gateway.tasks == []
        client.submit(MAIL)
    assert len(gateway.tasks) == 1


def test_a_call_that_it_does_not_answer_says_so() -> None:
    with MemoryGateway().client() as client:
        with pytest.raises(AssertionError, match="GET /v1/kinds/a"):
            client.kind("a")
        with pytest.raises(AssertionError, match="does not filter by person, since"):
            next(client.list(since=in_2100(), person="ann@example.com"))


def test_more_tasks_than_a_page_has_are_listed() -> None:
    with MemoryGateway().client() as client:
        for _ in range(2):
            client.submit_many([MAIL] * 300)
        assert len({task.id for task in client.list()}) == 600
        assert len([*client.list(limit=501)]) == 501


def test_it_loads_nothing_that_runs_services() -> None:
    program = (
        "import sys\nfrom waybill.testing import MemoryGateway\n"
        "with MemoryGateway().installed():\n    pass\n"
        "print([name for name in sys.modules if name.startswith(('waybill_worker', 'waybill_testkit'))])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"


def test_its_fixture_needs_nothing_but_pytest(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["waybill.testing.plugin"]\n')
    (tmp_path / "test_application.py").write_text(
        "from waybill import Client\n\n\n"
        "def test_it_submits(waybill_memory):\n"
        "    with Client() as client:\n"
        '        client.submit("order.placed", {"order_id": "17"})\n'
        '    assert [task.data for task in waybill_memory.tasks] == [{"order_id": "17"}]\n'
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr


def test_it_is_a_client_error_that_an_application_catches() -> None:
    gateway = MemoryGateway()

    async def place() -> str:
        async with gateway.async_client(deadline=0.1) as client:
            try:
                await client.submit(MAIL)
            except ClientError as error:
                return "try again" if error.is_temporary else "refused"
            return "placed"

    with gateway.refusing("kind_retired"):
        assert asyncio.run(place()) == "refused"
    assert asyncio.run(place()) == "placed"
