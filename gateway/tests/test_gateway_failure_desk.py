import json
from typing import Any

import httpx
import pytest

from waybill_contracts.wire.lifecycle import DeadReason, ErrorInfo
from waybill_ledger import new_task_id
from waybill_ledger.deadletters.intake.intake import take_in
from waybill_ledger.deadletters.intake.letter import letter_of
from waybill_testkit.gateway.in_process import EMAIL, Gateway, fields, problem
from waybill_testkit.samples import dead_message, gate_of, sync_event

SYNC = {"target": "crm", "resource": "contacts", "id": "7", "data": {"name": "Ann"}}
ERROR = ErrorInfo(type="TransientError", message="crm answered 503 to order-7")
ANN = {"X-Actor": "ann"}


async def dead(gateway: Gateway, count: int = 1, **message: Any) -> list[str]:
    """Tasks whose letters have come in before the ledger had any report."""
    ids = []
    for _ in range(count):
        task_id = (await gateway.post("/v1/syncs", SYNC)).json()["id"]
        letter = letter_of(dead_message(sync_event(), task_id, **{"error": ERROR} | message), gate=gate_of())
        await gateway.resources.records.write(take_in, letter)
        ids.append(task_id)
    return ids


async def get(gateway: Gateway, path: str, **query: Any) -> Any:
    answer = await gateway.client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def plan(gateway: Gateway, **body: Any) -> Any:
    answer = await gateway.client.post("/v1/redrives", json=body, headers=ANN)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == answer.json()["links"]["self"]
    return answer.json()


async def act(gateway: Gateway, path: str, **body: Any) -> httpx.Response:
    return await gateway.client.post(path, json=body, headers=ANN)


async def test_from_the_group_to_the_started_redrive(gateway: Gateway) -> None:
    await dead(gateway, 3)
    [group] = (await get(gateway, "/v1/dead-letters/groups", state="open"))["items"]
    assert (group["service"], group["message"]) == ("sync", "crm answered 503 to <id>")
    assert (group["letters"], group["total"], sum(group["trend"])) == ({"dead": 3}, 3, 0)
    letters = (await get(gateway, group["links"]["letters"]))["items"]
    assert [letter["error"]["message"] for letter in letters] == [ERROR.message] * 3
    made = await plan(gateway, filter={"group": group["id"]}, rate=100, canary=2, note="crm is back")
    assert (made["state"], made["letters"], made["progress"]["waiting"]) == ("planned", 3, 3)
    assert made["dry_run"]["verdicts"] == {"valid": 3, "upcastable": 0, "unfixable": 0}
    assert (made["created_by"], made["note"]) == ("ann", "crm is back")
    assert made["selection"] == {"filter": {"group": group["id"]}}

    started = await act(gateway, f"{made['links']['self']}/start", hash=made["hash"])
    assert (started.json()["state"], started.json()["phase"]) == ("running", "canary")
    again = await act(gateway, f"{made['links']['self']}/start", hash=made["hash"])
    assert "ann started it at" in problem(again, 409, "already_started")["detail"]
    paused = await act(gateway, f"{made['links']['self']}/pause", reason="lunch")
    assert paused.json()["state"] == "paused"
    problem(await act(gateway, f"{made['links']['self']}/pause"), 409, "wrong_state")
    ended = await act(gateway, f"{made['links']['self']}/cancel")
    assert (ended.json()["state"], ended.json()["progress"]["skipped"]) == ("cancelled", 3)
    items = (await get(gateway, made["links"]["letters"], state="skipped"))["items"]
    assert {item["skipped_because"] for item in items} == {"cancelled"}
    entries = (await get(gateway, "/v1/dead-letters/audit", redrive=made["id"]))["items"]
    assert [(entry["action"], entry["actor"]) for entry in entries] == [
        ("cancel", "ann"),
        ("pause", "ann"),
        ("start", "ann"),
        ("plan", "ann"),
    ]
    assert entries[1]["reason"] == "lunch"


async def test_a_letter_is_shown_whole_and_an_edit_is_tried_before_it_is_planned(gateway: Gateway) -> None:
    await dead(gateway, body=b'{"target": "crm"}', reason=DeadReason.UNREADABLE)
    [row] = (await get(gateway, "/v1/dead-letters", verdict="unfixable"))["items"]
    letter = await get(gateway, f"/v1/dead-letters/{row['id']}")
    assert letter["payload"] == {"target": "crm"}
    assert {error["field"] for error in letter["errors"]} == {"resource", "id", "data"}
    patch: list[dict[str, Any]] = [{"op": "add", "path": "/id", "value": "7"}]
    tried = await act(gateway, f"/v1/dead-letters/{row['id']}/preview", patch=patch)
    assert (tried.json()["verdict"], tried.json()["payload"]) == ("unfixable", {"target": "crm", "id": "7"})
    patch += [
        {"op": "add", "path": "/resource", "value": "contacts"},
        {"op": "add", "path": "/data", "value": {}},
    ]
    tried = await act(gateway, f"/v1/dead-letters/{row['id']}/preview", patch=patch)
    assert (tried.json()["verdict"], tried.json()["errors"]) == ("valid", None)
    made = await plan(gateway, ids=[row["id"]], edits=[{"patch": patch}])
    assert (made["dry_run"]["edited"], made["dry_run"]["verdicts"]["valid"]) == (1, 1)


async def test_archived_and_restored_one_by_one_and_as_a_group(gateway: Gateway) -> None:
    await dead(gateway, 2)
    ids = [letter["id"] for letter in (await get(gateway, "/v1/dead-letters"))["items"]]
    for body, number in (({"ids": [*ids, 7]}, 2), ({"filter": {"service": "email"}}, 0)):
        tried = await act(gateway, "/v1/dead-letters/discard", **body, reason="a test", dry_run=True)
        assert tried.json()["changed"] == number
    assert len((await get(gateway, "/v1/dead-letters", state="dead"))["items"]) == 2
    gone = await act(gateway, "/v1/dead-letters/discard", ids=ids[:1], reason="a test")
    assert gone.json()["changed"] == 1
    letter = await get(gateway, f"/v1/dead-letters/{ids[0]}")
    assert (letter["state"], letter["closed"]["by"], letter["closed"]["reason"]) == (
        "discarded",
        "ann",
        "a test",
    )
    assert letter["restorable_until"] == gone.json()["restorable_until"]
    assert (await act(gateway, "/v1/dead-letters/restore", ids=ids)).json()["changed"] == 1
    group = letter["group"]
    archived = await act(gateway, f"/v1/dead-letters/groups/{group}/archive", reason="old")
    assert (archived.json()["state"], archived.json()["letters"]) == ("archived", {"archived": 2})
    restored = await act(gateway, f"/v1/dead-letters/groups/{group}/restore", reason="not old")
    assert (restored.json()["state"], restored.json()["letters"]) == ("open", {"dead": 2})
    noted = await act(gateway, f"/v1/dead-letters/groups/{group}/note", note="ticket 7")
    assert noted.json()["note"] == "ticket 7"


async def test_a_group_is_exported_as_json_lines(gateway: Gateway) -> None:
    tasks = await dead(gateway, 120)
    [group] = (await get(gateway, "/v1/dead-letters/groups"))["items"]
    answer = await gateway.client.get(group["links"]["export"])
    assert answer.headers["content-type"] == "application/x-ndjson"
    letters = [json.loads(line) for line in answer.text.splitlines()]
    assert [letter["task_id"] for letter in letters] == tasks
    assert letters[0]["payload"] == SYNC | {"data": "[redacted]"}


async def test_a_redrive_is_watched_until_it_ends(gateway: Gateway) -> None:
    await dead(gateway)
    made = await plan(gateway, filter={"service": "sync"})
    await act(gateway, f"{made['links']['self']}/cancel")
    answer = await gateway.client.get(made["links"]["events"])
    assert answer.headers["content-type"].startswith("text/event-stream")
    event, data = (line.partition(": ")[2] for line in answer.text.splitlines()[:2])
    assert event == "ended"
    assert json.loads(data)["state"] == "cancelled"


async def test_what_waits_for_a_release_is_streamed_with_its_version(gateway: Gateway) -> None:
    [task] = await dead(gateway)
    mail = (await gateway.post("/v1/emails", EMAIL)).json()["id"]
    reset = await gateway.post("/v1/password-resets", {"email": "ada@example.com"})
    answer = await gateway.client.get("/v1/contracts/waiting")
    waiting = {str(line["id"]): line for line in map(json.loads, answer.text.splitlines())}
    assert waiting[mail]["payload"] == {}
    sealed = ["html", "list_unsubscribe", "params", "reply_to", "subject", "text", "to"]
    assert waiting[mail]["redacted"] == sealed
    assert (waiting[mail]["where"], waiting[mail]["dataschema"]) == (
        "task",
        "urn:waybill:email.requested:v1",
    )
    secret = waiting[reset.json()["id"]]
    assert (secret["redacted"], "link" in secret["payload"]) == (["email", "link"], False)
    assert [line["where"] for line in waiting.values() if line["id"] != task].count("dead_letter") == 1
    for where, count in (("task", 3), ("dead_letter", 1)):
        answer = await gateway.client.get("/v1/contracts/waiting", params={"where": where})
        assert [json.loads(line)["where"] for line in answer.text.splitlines()] == [where] * count


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"ids": [1], "filter": {"service": "sync"}}, "body"),
        ({"filter": {}}, "filter"),
        ({"ids": []}, "ids"),
        ({"ids": [0]}, "ids.0"),
        ({"ids": [1], "rate": 0}, "rate"),
        ({"ids": [1], "rate": 3000}, "rate"),
        ({"ids": [1], "canary": -1}, "canary"),
        ({"ids": [1], "note": "a\0b"}, "note"),
        ({"ids": [1], "edits": [{"patch": [{"op": "bend", "path": "/a"}]}]}, "edits.0.patch"),
        ({"ids": [1], "edits": [{"patch": [{"op": "add"}]}]}, "edits.0.patch"),
        ({"ids": [1], "speed": 1}, "speed"),
    ],
)
async def test_a_wrong_plan_is_refused(gateway: Gateway, body: dict[str, Any], field: str) -> None:
    refused = fields(await act(gateway, "/v1/redrives", **body))
    assert refused == {field} or (field == "filter" and refused == {"body"})


async def test_a_plan_of_nothing_is_refused(gateway: Gateway) -> None:
    problem(await act(gateway, "/v1/redrives", filter={"service": "sync"}), 422, "nothing_selected")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/dead-letters/7", "no_such_letter"),
        (f"/v1/dead-letters/groups/{'0' * 32}", "no_such_group"),
        (f"/v1/dead-letters/groups/{'0' * 32}/export", "no_such_group"),
        ("/v1/redrives/7", "no_such_redrive"),
        ("/v1/redrives/7/letters", "no_such_redrive"),
        ("/v1/redrives/7/events", "no_such_redrive"),
    ],
)
async def test_what_is_not_there_is_not_found(gateway: Gateway, path: str, code: str) -> None:
    problem(await gateway.client.get(path), 404, code)


async def test_an_actor_is_one_line(gateway: Gateway) -> None:
    answer = await gateway.client.post(
        "/v1/dead-letters/discard", json={"ids": [1], "reason": "x"}, headers={"X-Actor": "x" * 129}
    )
    problem(answer, 400, "bad_actor")


async def test_the_desk_knows_no_task_that_the_ledger_does_not(gateway: Gateway) -> None:
    await gateway.resources.records.write(
        take_in, letter_of(dead_message(sync_event(), new_task_id()), gate=gate_of())
    )
    [letter] = (await get(gateway, "/v1/dead-letters"))["items"]
    assert letter["effect"] == "no_task"
