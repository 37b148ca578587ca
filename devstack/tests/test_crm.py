import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from waybill_devstack.crm.faults import Faults
from waybill_devstack.crm.http import create_app
from waybill_devstack.crm.records import Records


def ignore(line: str) -> None:
    assert "\n" not in line


@pytest.fixture
async def crm() -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Records(), Faults(), ignore)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://crm") as client:
        yield client


async def put(crm: httpx.AsyncClient, record_id: str, data: Any, key: str | None = None) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await crm.put(f"/contacts/{record_id}", json=data, headers=headers)


async def outcomes(crm: httpx.AsyncClient) -> list[tuple[int, str]]:
    return [(call["status"], call["outcome"]) for call in (await crm.get("/requests")).json()]


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_writes_a_record_then_its_next_version(crm: httpx.AsyncClient, method: str) -> None:
    first = await crm.request(method, "/contacts/7", json={"name": "Zoë"})
    second = await crm.request(method, "/contacts/7", json={"name": "Zoe"})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["data"] == {"name": "Zoë"}
    (record,) = (await crm.get("/records")).json()
    assert set(record) == {"resource", "id", "data", "version", "updated_at"}
    assert (record["resource"], record["id"], record["data"], record["version"]) == (
        "contacts",
        "7",
        {"name": "Zoe"},
        2,
    )


async def test_the_same_key_and_body_gets_the_first_answer_and_writes_nothing(crm: httpx.AsyncClient) -> None:
    first = await put(crm, "7", {"a": 1, "b": 2}, key="k")
    await put(crm, "7", {"a": 3}, key="later")
    again = await put(crm, "7", {"b": 2, "a": 1}, key="k")
    assert (again.status_code, again.json()) == (201, first.json())
    assert [record["data"] for record in (await crm.get("/records")).json()] == [{"a": 3}]
    assert await outcomes(crm) == [(201, "written"), (200, "written"), (201, "replayed")]


@pytest.mark.parametrize(("record_id", "data"), [("7", {"a": 2}), ("8", {"a": 1})])
async def test_the_same_key_for_another_write_is_refused(
    crm: httpx.AsyncClient, record_id: str, data: dict[str, int]
) -> None:
    await put(crm, "7", {"a": 1}, key="k")
    refused = await put(crm, record_id, data, key="k")
    assert refused.status_code == 422
    assert "Idempotency-Key" in refused.json()["detail"]
    assert [record["version"] for record in (await crm.get("/records")).json()] == [1]
    assert await outcomes(crm) == [(201, "written"), (422, "refused")]


@pytest.mark.parametrize("body", [b"[1]", b"{", b'{"a": NaN}', b""])
async def test_refuses_what_is_no_json_object(crm: httpx.AsyncClient, body: bytes) -> None:
    assert (await crm.put("/contacts/7", content=body)).status_code == 422
    assert (await crm.get("/records")).json() == []
    assert await outcomes(crm) == [(422, "refused")]


async def test_logs_each_call_in_order(crm: httpx.AsyncClient) -> None:
    await put(crm, "7", {}, key="k")
    await crm.post("/notes/8", json={})
    first, second = (await crm.get("/requests")).json()
    assert set(first) == {"at", "method", "path", "idempotency_key", "status", "outcome"}
    assert (first["method"], first["path"], first["idempotency_key"]) == ("PUT", "/contacts/7", "k")
    assert (second["method"], second["path"], second["idempotency_key"]) == ("POST", "/notes/8", None)


async def test_a_fault_answers_the_next_writes_and_writes_nothing(crm: httpx.AsyncClient) -> None:
    await crm.post("/faults", json={"status": 429, "count": 2, "retry_after": 3})
    for _ in range(2):
        answer = await put(crm, "7", {}, key="k")
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
    assert (await put(crm, "7", {}, key="k")).status_code == 201
    assert await outcomes(crm) == [(429, "fault"), (429, "fault"), (201, "written")]


async def test_a_fault_without_count_stays_until_cleared(crm: httpx.AsyncClient) -> None:
    await crm.post("/faults", json={"status": 500})
    assert [(await put(crm, "7", {})).status_code for _ in range(3)] == [500, 500, 500]
    await crm.post("/faults", json={})
    assert (await put(crm, "7", {})).status_code == 201


async def test_a_fault_can_break_one_record_and_spare_the_others(crm: httpx.AsyncClient) -> None:
    await crm.post("/faults", json={"status": 404, "id": "7"})
    await crm.post("/faults", json={"status": 410, "id": "8", "count": 1})
    assert [(await put(crm, record_id, {})).status_code for record_id in "7898"] == [404, 410, 201, 201]
    await crm.post("/faults", json={"id": "7"})
    assert (await put(crm, "7", {})).status_code == 201


async def test_retry_after_alone_means_503(crm: httpx.AsyncClient) -> None:
    await crm.post("/faults", json={"retry_after": 0})
    answer = await put(crm, "7", {})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "0")


async def test_a_delay_writes_at_once_and_answers_late() -> None:
    lines: asyncio.Queue[str] = asyncio.Queue()
    report: Callable[[str], None] = lines.put_nowait
    app = create_app(Records(), Faults(), report)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://crm") as crm:
        await crm.post("/faults", json={"delay": 600, "count": 1})
        late = asyncio.create_task(put(crm, "7", {"a": 1}, key="k"))
        assert await lines.get() == "PUT /contacts/7 201 written key=k"
        again = await put(crm, "7", {"a": 1}, key="k")
        assert not late.done()
        late.cancel()
        assert again.status_code == 201
        assert await outcomes(crm) == [(201, "written"), (201, "replayed")]


@pytest.mark.parametrize(
    "body",
    [
        {"colour": "red"},
        {"count": 1},
        {"status": 200},
        {"status": 500, "count": 0},
        {"delay": -1},
        {"delay": 1e9},
    ],
)
async def test_refuses_faults_that_make_no_sense(crm: httpx.AsyncClient, body: object) -> None:
    assert (await crm.post("/faults", json=body)).status_code == 422
    assert (await put(crm, "7", {})).status_code == 201


async def test_clears_records_keys_and_log(crm: httpx.AsyncClient) -> None:
    await put(crm, "7", {"a": 1}, key="k")
    assert (await crm.delete("/records")).status_code == 204
    assert (await crm.get("/records")).json() == []
    assert (await crm.get("/requests")).json() == []
    assert (await put(crm, "7", {"a": 2}, key="k")).status_code == 201


async def test_refuses_a_large_body(crm: httpx.AsyncClient) -> None:
    assert (await put(crm, "7", {"a": "x" * 70_000})).status_code == 413


def test_keeps_the_newest_records_and_keys_only() -> None:
    records = Records(max_kept=2)
    for number in "123":
        records.write("contacts", number, {}, key=number)
    assert [record.id for record in records.all()] == ["2", "3"]
    assert records.write("contacts", "3", {}, key="3")[1] == "replayed"
    assert records.write("contacts", "1", {}, key="1")[1] == "written"
