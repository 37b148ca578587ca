import asyncio
import json
import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event
from structlog.testing import capture_logs

from waybill_ledger.schema.tables import OUTBOX, SUBTASKS, TASKS
from waybill_testkit.gateway.in_process import EMAIL, Gateway, fields, problem

USER = {"email": "ada@example.com", "name": "Ada"}
SYNC = {"target": "crm", "resource": "contacts", "id": "1", "data": {"a": 1}}
RESET = {"email": "ada@example.com"}
POSTS = [
    ("/v1/emails", EMAIL, "email.requested", ["email"]),
    ("/v1/users", USER, "user.created", ["email", "sync"]),
    ("/v1/syncs", SYNC, "sync.requested", ["sync"]),
    ("/v1/password-resets", RESET, "password_reset.requested", ["email"]),
]
each_body = pytest.mark.parametrize(("path", "body"), [post[:2] for post in POSTS])
each_post = pytest.mark.parametrize(("path", "body", "kind", "services"), POSTS)


@each_post
async def test_answers_202_without_a_broker_and_the_task_is_readable_at_once(
    gateway: Gateway, path: str, body: dict[str, Any], kind: str, services: list[str]
) -> None:
    answer = await gateway.post(path, body, X_Request_ID="req-7")
    assert answer.status_code == 202
    accepted = answer.json()
    assert UUID(accepted["id"]).version == 7
    location = f"/v1/tasks/{accepted['id']}"
    assert answer.headers["Location"] == location
    assert accepted["links"].pop("watch").startswith("/v1/watch/wbw_")
    assert accepted == {
        "id": accepted["id"],
        "kind": kind,
        "state": "pending",
        "links": {"self": location, "timeline": f"{location}/timeline"},
    }
    task = (await gateway.client.get(location)).json()
    assert task["state"] == "pending"
    assert task["correlation_id"] == "req-7"
    assert task["completed_at"] is None
    assert [(s["service"], s["state"], s["attempt"]) for s in task["subtasks"]] == [
        (service, "pending", 0) for service in services
    ]
    [row] = await gateway.rows(OUTBOX)
    assert (row["task_id"], row["routing_key"], row["attempt"]) == (accepted["id"], kind, 1)


@each_body
async def test_unknown_fields_are_refused_and_nothing_is_kept(
    gateway: Gateway, path: str, body: dict[str, Any]
) -> None:
    answer = await gateway.post(path, body | {"subjekt": "s3cret"})
    assert fields(answer) == {"subjekt"}
    assert "s3cret" not in answer.text
    assert await gateway.count(TASKS) == await gateway.count(OUTBOX) == await gateway.count(SUBTASKS) == 0


@each_body
async def test_a_task_for_later_is_scheduled_and_its_message_waits(
    gateway: Gateway, path: str, body: dict[str, Any]
) -> None:
    answer = await gateway.post(path, body | {"delay_seconds": 3600, "priority": "high"})
    assert answer.json()["state"] == "scheduled"
    [task] = await gateway.rows(TASKS)
    [row] = await gateway.rows(OUTBOX)
    assert task["due_at"] == row["available_at"] == task["created_at"] + timedelta(hours=1)
    assert task["priority"] == 9
    shown = (await gateway.client.get(answer.headers["Location"])).json()
    assert shown["state"] == "scheduled"
    assert {s["next_attempt_at"] for s in shown["subtasks"]} == {shown["due_at"]}
    timeline = (await gateway.client.get(answer.json()["links"]["timeline"])).json()
    assert [entry["type"] for entry in timeline["events"]] == ["task.accepted"]
    assert datetime.fromisoformat(timeline["events"][0]["details"]["due_at"]) == task["due_at"]


@pytest.mark.parametrize(
    ("timing", "field"),
    [
        ({"delay_seconds": -1}, "delay_seconds"),
        ({"delay_seconds": 3661 * 86400}, "delay_seconds"),
        ({"delay_seconds": "soon"}, "delay_seconds"),
        ({"send_at": "2030-01-01T00:00:00"}, "send_at"),
        ({"send_at": "9999-12-31T23:59:59-23:59"}, "send_at"),
        ({"send_at": "0001-01-01T00:00:00+23:59"}, "send_at"),
        ({"send_at": "2100-01-01T00:00:00Z"}, "body"),
        # Seconds, or milliseconds? Text leaves no doubt.
        ({"send_at": 1_900_000_000}, "send_at"),
        ({"send_at": "1900000000.5"}, "send_at"),
        ({"send_at": "2030-01-01T00:00:00Z", "delay_seconds": 1}, "body"),
        ({"priority": "urgent"}, "priority"),
    ],
)
async def test_a_wrong_time_or_priority_is_refused(
    gateway: Gateway, timing: dict[str, Any], field: str
) -> None:
    assert fields(await gateway.post("/v1/emails", EMAIL | timing)) == {field}


@pytest.mark.parametrize("past", ["2001-01-01T00:00:00Z", "1970-01-01T00:00:00+23:59"])
async def test_a_time_that_has_passed_is_refused(gateway: Gateway, past: str) -> None:
    document = problem(await gateway.post("/v1/emails", EMAIL | {"send_at": past}), 422, "send_at_passed")
    assert [error["field"] for error in document["errors"]] == ["send_at"]
    assert await gateway.count(TASKS) == 0


async def test_a_time_that_only_a_slow_clock_puts_into_the_past_means_at_once(gateway: Gateway) -> None:
    now = gateway.resources.records.now().isoformat()
    answer = await gateway.post("/v1/emails", EMAIL | {"send_at": now})
    assert answer.json()["state"] == "pending"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/emails", EMAIL | {"to": "nobody"}, "to"),
        ("/v1/emails", EMAIL | {"to": f"{'a' * 64}@{'b' * 250}.test"}, "to"),
        ("/v1/emails", EMAIL | {"to": "a@b.test\r\nBcc: c@d.test"}, "to"),
        ("/v1/emails", EMAIL | {"subject": "two\nlines"}, "subject"),
        ("/v1/emails", EMAIL | {"subject": "x" * 256}, "subject"),
        ("/v1/emails", EMAIL | {"text": "x" * (256 * 1024 + 1)}, "text"),
        ("/v1/emails", EMAIL | {"to": f"{'a' * 65}@b.test"}, "to"),
        ("/v1/emails", EMAIL | {"to": "=?utf-8?q?Ann?=@b.test"}, "to"),
        ("/v1/emails", EMAIL | {"subject": "two\u2028lines"}, "subject"),
        ("/v1/emails", EMAIL | {"subject": "two\x85lines"}, "subject"),
        ("/v1/emails", EMAIL | {"text": "nul\0"}, "text"),
        ("/v1/emails", EMAIL | {"html": "escape\x1b"}, "html"),
        ("/v1/emails", EMAIL | {"category": "No Good"}, "category"),
        ("/v1/emails", EMAIL | {"priority": "low"}, "list_unsubscribe"),
        ("/v1/emails", EMAIL | {"reply_to": "Ann <a@b.test>"}, "reply_to"),
        (
            "/v1/emails",
            EMAIL | {"list_unsubscribe": ["https://a.test", "http://b.test"]},
            "list_unsubscribe.1",
        ),
        ("/v1/emails", EMAIL | {"list_unsubscribe": ["mailto:a@b.test"] * 2}, "list_unsubscribe"),
        ("/v1/emails", {"to": "a@b.test"}, "body"),
        ("/v1/emails", EMAIL | {"template": "welcome", "params": {"name": "A"}}, "body"),
        ("/v1/emails", {"to": "a@b.test", "template": "nope"}, "template"),
        ("/v1/emails", {"to": "a@b.test", "template": "welcome"}, "params.name"),
        ("/v1/emails", {"to": "a@b.test", "template": "welcome", "params": {"name": "A\nB"}}, "params.name"),
        (
            "/v1/emails",
            {"to": "a@b.test", "template": "welcome", "params": {"name": "A\x1bB"}},
            "params.name",
        ),
        ("/v1/users", {"email": "a@b.test"}, "name"),
        ("/v1/users", USER | {"email": f"{'a' * 65}@b.test"}, "email"),
        ("/v1/users", USER | {"name": "A\u2028B"}, "name"),
        ("/v1/users", USER | {"name": " "}, "name"),
        ("/v1/users", USER | {"name": "x" * 201}, "name"),
        ("/v1/users", USER | {"id": "../1"}, "id"),
        ("/v1/users", USER | {"attributes": {str(n): n for n in range(201)}}, "attributes"),
        ("/v1/users", USER | {"attributes": []}, "attributes"),
        ("/v1/syncs", SYNC | {"id": "a/b"}, "id"),
        ("/v1/syncs", SYNC | {"resource": "a b"}, "resource"),
        ("/v1/syncs", SYNC | {"target": "CRM!"}, "target"),
        ("/v1/syncs", SYNC | {"data": {str(n): n for n in range(201)}}, "data"),
        ("/v1/password-resets", {"email": "nobody"}, "email"),
        ("/v1/password-resets", {"email": f"{'a' * 65}@b.test"}, "email"),
        ("/v1/password-resets/redeem", {"token": ""}, "token"),
        ("/v1/password-resets/redeem", {"token": "x" * 201}, "token"),
    ],
)
async def test_each_limit_names_its_field_and_no_value(
    gateway: Gateway, path: str, body: dict[str, Any], field: str
) -> None:
    answer = await gateway.post(path, body)
    assert fields(answer) == {field}
    assert "input_value" not in answer.text
    assert await gateway.count(TASKS) == 0


async def test_all_that_is_wrong_with_a_bulk_mail_is_named_at_once(gateway: Gateway) -> None:
    answer = await gateway.post("/v1/emails", {"to": "nobody", "priority": "low", "delay_seconds": -1})
    assert fields(answer) == {"to", "delay_seconds", "list_unsubscribe"}


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/v1/emails", EMAIL | {"subject": "two\nlines"}, "one line of text without control characters"),
        ("/v1/users", USER | {"name": "A\0B"}, "one line of text without control characters"),
        ("/v1/password-resets/redeem", {"token": "a\0"}, "must not contain the control character"),
        ("/v1/tasks/01a20797-6d09-71fe-b759-803ec3a459ee/reveal", {"reason": " "}, "more than white space"),
    ],
)
async def test_a_refused_character_is_named_in_words_and_not_by_a_pattern(
    gateway: Gateway, path: str, body: dict[str, Any], words: str
) -> None:
    [error] = problem(await gateway.post(path, body), 422, "invalid_request")["errors"]
    assert words in error["message"]


@pytest.mark.parametrize("links", [[], ["https://a.test/u"], ["mailto:u@a.test"]])
async def test_bulk_mail_that_says_how_to_unsubscribe_is_accepted(gateway: Gateway, links: list[str]) -> None:
    mail = EMAIL | {"priority": "low", "list_unsubscribe": links, "reply_to": "team@a.test"}
    assert (await gateway.post("/v1/emails", mail)).status_code == 202
    (task,) = await gateway.rows(TASKS)
    sealed = json.loads(task["payload"])
    payload = gateway.resources.keyring.open_fields(sealed, task["id"])
    assert (payload["list_unsubscribe"], payload["reply_to"]) == (links, "team@a.test")
    assert "$sealed" in sealed["list_unsubscribe"]
    assert "$sealed" in sealed["reply_to"]


async def test_a_mail_without_ways_back_is_as_the_last_release_reads_it(gateway: Gateway) -> None:
    await gateway.post("/v1/emails", EMAIL)
    (task,) = await gateway.rows(TASKS)
    assert not {"reply_to", "list_unsubscribe"} & json.loads(task["payload"]).keys()


async def test_a_sync_for_an_unknown_target_names_the_known_ones(gateway: Gateway) -> None:
    document = problem(await gateway.post("/v1/syncs", SYNC | {"target": "erp"}), 422, "unknown_target")
    assert document["errors"] == [{"field": "target", "message": "one of: crm"}]


async def test_a_user_without_an_id_gets_the_tasks(gateway: Gateway) -> None:
    task_id = (await gateway.post("/v1/users", USER)).json()["id"]
    await gateway.post("/v1/users", USER | {"id": "ada-1"})
    payloads = [row["payload"].decode() for row in await gateway.rows(TASKS)]
    assert f'"user_id":"{task_id}"' in payloads[0]
    assert '"user_id":"ada-1"' in payloads[1]


async def test_an_answer_lists_the_first_of_very_many_wrong_fields(gateway: Gateway) -> None:
    answer = await gateway.post("/v1/emails", EMAIL | {f"{'n' * 300}{n}": n for n in range(1000)})
    document = problem(answer, 422, "invalid_request")
    assert len(document["errors"]) == 50
    assert document["detail"].startswith("1000 field(s)")
    assert max(len(error["field"]) for error in document["errors"]) == 200


async def test_many_at_once_share_commits(gateway: Gateway) -> None:
    commits = 0

    def count(_connection: object) -> None:
        nonlocal commits
        commits += 1

    event.listen(gateway.resources.records.engine, "commit", count)
    answers = await asyncio.gather(*(gateway.post("/v1/emails", EMAIL) for _ in range(200)))
    event.remove(gateway.resources.records.engine, "commit", count)
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == await gateway.count(OUTBOX) == 200
    # How many depends on how fast the disk is; one for each would be 200.
    assert commits <= 100


async def test_a_caller_that_goes_away_while_it_is_accepted_leaves_a_whole_task_or_none(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()
    write = gateway.resources.records.write

    async def noticed(*submission: Any) -> Any:
        begun.set()
        return await write(*submission)

    monkeypatch.setattr(gateway.resources.records, "write", noticed)
    posting = asyncio.create_task(gateway.post("/v1/users", USER, Idempotency_Key="k1"))
    await begun.wait()
    posting.cancel()
    await asyncio.gather(posting, return_exceptions=True)
    # The same call again is accepted, or finds what the first one left; its key is not held.
    answer = await gateway.post("/v1/users", USER, Idempotency_Key="k1")
    assert answer.status_code == 202
    assert await gateway.count(TASKS) == await gateway.count(OUTBOX) == 1
    assert await gateway.count(SUBTASKS) == 2


@pytest.mark.parametrize(
    ("sent", "trace_id"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", None),
        ("nonsense", None),
        (None, None),
    ],
)
async def test_every_task_belongs_to_a_trace_the_callers_or_its_own(
    gateway: Gateway, sent: str | None, trace_id: str | None
) -> None:
    with capture_logs() as lines:
        answer = await gateway.post("/v1/emails", EMAIL, **({"traceparent": sent} if sent else {}))
        task = (await gateway.client.get(answer.headers["Location"])).json()
    assert re.fullmatch("[0-9a-f]{32}", task["trace_id"])
    assert trace_id in {None, task["trace_id"]}
    [accepted] = [line for line in lines if line["event"] == "task accepted"]
    assert (accepted["task_id"], accepted["trace_id"]) == (task["id"], task["trace_id"])
