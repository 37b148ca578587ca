import asyncio
import hashlib
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from uuid import uuid4

import pytest
from command_under_test import EMAIL, NOWHERE, Waybill
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from sqlalchemy import update

from waybill_contracts.files import ResultFile, results_of
from waybill_contracts.wire.lifecycle import LifecycleType
from waybill_ledger.schema.tables import TASKS
from waybill_testkit.gateway.served import Served, listening
from waybill_testkit.samples import reported
from waybill_worker.object_store import ObjectStore


def test_tasks_are_listed_newest_first_and_filtered(gateway: Served, waybill: Waybill) -> None:
    mail = gateway.post("/v1/emails", EMAIL)
    user = gateway.post("/v1/users", {"email": "bob@example.com", "name": "Bob"})

    table = waybill("tasks", "ls").out.splitlines()
    assert table[0].split() == ["ID", "KIND", "STATE", "AGE", "ABOUT", "SUBTASKS"]
    assert [line.split()[0] for line in table[1:]] == [user, mail]
    assert "email pending, sync pending" in table[1]
    assert [task["id"] for task in waybill("tasks", "ls", "-q", "bob@example.com", "--json").lines] == [user]
    assert waybill("tasks", "ls", "--state", "failed", "--json").lines == []
    assert waybill("tasks", "ls", "--until", "1h", "--json").lines == []


def test_a_limit_says_that_there_are_more_and_all_pages_through(gateway: Served, waybill: Waybill) -> None:
    made = [gateway.post("/v1/emails", EMAIL) for _ in range(3)]
    some = waybill("tasks", "ls", "--limit", "2", "--json")
    assert [task["id"] for task in some.lines] == made[:0:-1]
    assert "first 2; --all" in some.err
    every = waybill("tasks", "ls", "--limit", "2", "--all", "--json")
    assert [task["id"] for task in every.lines] == made[::-1]
    assert every.err == ""


def test_show_tells_subtasks_and_timeline(gateway: Served, waybill: Waybill) -> None:
    task = gateway.post("/v1/emails", EMAIL)
    gateway.happened(
        reported(LifecycleType.STARTED, task), reported(LifecycleType.DEAD, task, seconds_after=1)
    )
    shown = waybill("tasks", "show", task)
    assert shown.code == 0
    assert "email    failed" in shown.out
    assert "TransientError: refused" in shown.out
    happened = [line.split()[3] for line in shown.out.splitlines() if " task." in line]
    assert happened == ["task.accepted", "task.started", "task.dead"]
    document = waybill("tasks", "show", task, "--json").document
    assert document["state"] == "failed"
    assert f"trace        {document['trace_id']}" in shown.out
    assert len(document["timeline"]) == 3


def test_show_tells_how_far_an_attempt_is(gateway: Served, waybill: Waybill) -> None:
    task = gateway.post("/v1/emails", EMAIL)
    gateway.happened(
        reported(LifecycleType.STARTED, task),
        reported(LifecycleType.PROGRESS, task, seconds_after=3, text="page 5 of 10"),
    )
    shown = waybill("tasks", "show", task)
    document = waybill("tasks", "show", task, "--json").document

    [part] = document["subtasks"]
    assert part["progress"] == {"share": 0.5, "text": "page 5 of 10", "at": "2026-03-01T12:00:03Z"}
    assert [line for line in shown.out.splitlines() if "email    running" in line and "50 %, page 5" in line]
    assert [line for line in shown.out.splitlines() if "task.progress" in line and "50 %, page 5" in line]


def test_what_a_task_has_spawned_is_shown_and_listed(gateway: Served, waybill: Waybill) -> None:
    parent = gateway.post("/v1/emails", EMAIL)
    child = gateway.post("/v1/emails", EMAIL)
    gateway.write(
        lambda connection: connection.execute(
            update(TASKS).where(TASKS.c.id == child).values(parent_id=parent, parent_service="email")
        )
    )

    assert [task["id"] for task in waybill("tasks", "ls", "--parent", parent, "--json").lines] == [child]
    assert "children     1" in waybill("tasks", "show", parent).out
    assert f"parent       {parent} (email)" in waybill("tasks", "show", child).out


@pytest.mark.parametrize(("outcome", "code"), [(LifecycleType.COMPLETED, 0), (LifecycleType.DEAD, 1)])
def test_watch_ends_with_the_outcome(
    gateway: Served, waybill: Waybill, outcome: LifecycleType, code: int
) -> None:
    task = gateway.post("/v1/emails", EMAIL)
    work = Thread(
        target=gateway.happened,
        args=(reported(LifecycleType.STARTED, task), reported(outcome, task, seconds_after=1)),
    )
    work.start()
    watched = waybill("tasks", "watch", task, "--json")
    work.join()
    assert watched.code == code
    told_types = {line["type"] for line in watched.lines[:-1]}
    assert told_types == {"task.accepted", "task.started", outcome.value}
    assert watched.lines[-1]["id"] == task


def test_watch_gives_up_in_time(gateway: Served, waybill: Waybill) -> None:
    task = gateway.post("/v1/emails", EMAIL)
    watched = waybill("tasks", "watch", task, "--timeout", "0")
    assert watched.code == 1
    assert "no outcome after 0 s" in watched.err


def test_cancel_says_what_it_could_do(gateway: Served, waybill: Waybill) -> None:
    later = gateway.post("/v1/emails", EMAIL | {"delay_seconds": 600})
    assert waybill("tasks", "cancel", later, "--yes").out == f"prevented  {later}\n"
    done = gateway.post("/v1/emails", EMAIL)
    gateway.happened(reported(LifecycleType.COMPLETED, done))
    refused = waybill("tasks", "cancel", done, "--yes")
    assert refused.code == 4
    assert "already completed" in refused.err


def test_cancel_does_nothing_unasked(gateway: Served, waybill: Waybill) -> None:
    task = gateway.post("/v1/emails", EMAIL | {"delay_seconds": 600})
    asked = waybill("tasks", "cancel", task)
    assert asked.code == 2
    assert "add --yes" in asked.err
    assert waybill("tasks", "show", task, "--json").document["state"] == "scheduled"


def test_what_the_gateway_refuses_exits_4_with_its_words(waybill: Waybill) -> None:
    unknown = waybill("tasks", "show", str(uuid4()))
    assert (unknown.code, unknown.out) == (4, "")
    assert "There is no task of this id" in unknown.err
    wrong = waybill("tasks", "ls", "--kind", "email.sent")
    assert wrong.code == 4
    assert "kind: one of: email.requested" in wrong.err


def test_a_gateway_that_is_away_exits_3_and_says_who_named_it(capsys: pytest.CaptureFixture[str]) -> None:
    away = Waybill(capsys, NOWHERE)("tasks", "ls")
    assert (away.code, away.out) == (3, "")
    assert f"{NOWHERE} (from the command line) cannot be reached" in away.err


def test_what_is_no_gateway_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    app = FastAPI()

    @app.get("/v1/tasks")
    async def page() -> PlainTextResponse:
        return PlainTextResponse("Welcome to nginx!")

    with listening(app) as url:
        assert "is not Waybill's gateway" in Waybill(capsys, url)("tasks", "ls").err
        missing = Waybill(capsys, url)("tasks", "show", str(uuid4()))
        assert missing.code in {3, 4}


def test_times_are_told_with_their_zone(gateway: Served, waybill: Waybill) -> None:
    task = gateway.post("/v1/emails", EMAIL)
    accepted = next(line for line in waybill("tasks", "show", task).out.splitlines() if "accepted" in line)
    assert str(datetime.now(UTC).astimezone().tzname()) in accepted


def test_a_task_is_submitted_and_its_id_printed(waybill: Waybill, monkeypatch: pytest.MonkeyPatch) -> None:
    first = waybill("tasks", "submit", "email.requested", json.dumps(EMAIL), "--key", "order-17")
    assert (first.code, first.err) == (0, "")
    assert waybill("tasks", "ls", "--json").document["id"] == first.out.strip()

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(EMAIL).encode())))
    again = waybill("tasks", "submit", "email.requested", "-", "--key", "order-17", "--json")
    assert again.document["id"] == first.out.strip()


def test_what_the_contract_or_the_command_does_not_allow_is_not_submitted(waybill: Waybill) -> None:
    assert "DATA is not JSON" in waybill("tasks", "submit", "email.requested", "{to: ann}").err
    refused = waybill("tasks", "submit", "email.requested", '{"to": 7}')
    assert (refused.code, "/data/to" in refused.err) == (4, True), refused.err
    assert waybill("tasks", "submit", "nothing.requested", "{}").code == 4


def test_files_of_a_task_are_listed_and_downloaded(
    gateway: Served, waybill: Waybill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    task = gateway.post("/v1/emails", EMAIL)
    unfinished = waybill("tasks", "download", task, "invoice.txt")
    assert (unfinished.code, "has no such file so far" in unfinished.err) == (4, True)
    assert not list(tmp_path.glob("invoice*"))

    content = b"Invoice 17"
    store = ObjectStore.from_url(f"file://{tmp_path}/objects")
    key = asyncio.run(store.put(content, prefix=results_of(task)))
    sha256 = hashlib.sha256(content).hexdigest()
    file = ResultFile(key=key, sha256=sha256, size_bytes=len(content), content_type="text/plain")
    made = {"files": {"invoice.txt": file.model_dump(mode="json")}}
    gateway.happened(reported(LifecycleType.COMPLETED, task, result=made))

    listed = waybill("tasks", "files", task)
    assert listed.out.splitlines()[1].split() == ["invoice.txt", "email", "10", "text/plain"]
    assert waybill("tasks", "files", task, "--json").document["sha256"] == sha256
    assert "written to invoice.txt" in waybill("tasks", "download", task, "invoice.txt").err
    assert (tmp_path / "invoice.txt").read_bytes() == content
    copied = waybill("tasks", "download", task, "invoice.txt", "--service", "email", "--output", "copy")
    assert (copied.code, (tmp_path / "copy").read_bytes()) == (0, content)
    missing = waybill("tasks", "download", task, "invoice.txt", "--output", "no/folder")
    assert (missing.code, "cannot be written" in missing.err) == (2, True)
    assert not list(tmp_path.glob("*.part"))
