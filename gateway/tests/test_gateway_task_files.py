"""Files that services have made for tasks: listed and given out to whom the task belongs."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from keys_under_test import key_in
from sqlalchemy import Connection, update

from waybill_contracts.files import ResultFile, results_of
from waybill_contracts.states import State
from waybill_contracts.wire.lifecycle import LifecycleEvent, LifecycleType
from waybill_gateway.files.collector import Collector
from waybill_gateway.files.storing import UNTOUCHED_FOR
from waybill_ledger import PruneStep, Scope, apply_events, prune_tasks
from waybill_ledger.schema.tables import FILES, OUTBOX, TASKS
from waybill_testkit.bucket import Bucket
from waybill_testkit.gateway.in_process import Gateway, problem, running
from waybill_testkit.samples import reported

USER = {"email": "ann@example.com", "name": "Ann", "id": "7"}
PDF = b"%PDF-1.7 an invoice"


@pytest.fixture(params=["file", "s3"])
async def gateway(request: pytest.FixtureRequest, tmp_path: Path, ledger_url: str) -> AsyncIterator[Gateway]:
    bucket: Bucket | None = request.getfixturevalue("bucket") if request.param == "s3" else None
    store = {} if bucket is None else bucket.settings()
    async with running(tmp_path, ledger_url=ledger_url, **store) as started:
        yield started


async def posted(gateway: Gateway, **key: str) -> str:
    answer = await gateway.client.post("/v1/users", json=USER, headers=key)
    assert answer.status_code == 202, answer.text
    task_id: str = answer.json()["id"]
    return task_id


async def report(gateway: Gateway, *events: LifecycleEvent) -> None:
    def apply(connection: Connection, batches: Sequence[tuple[LifecycleEvent, ...]]) -> list[None]:
        for batch in batches:
            apply_events(connection, batch)
        return [None] * len(batches)

    await gateway.resources.records.write(apply, events)


async def made(
    gateway: Gateway, task_id: str, service: str = "email", of: str | None = None, **contents: bytes
) -> None:
    """A service has completed its part, and written files; the names have underscores for dots."""
    files = {}
    for name, content in contents.items():
        key = await gateway.resources.objects.put(content, prefix=results_of(of or task_id))
        sha256 = hashlib.sha256(content).hexdigest()
        file = ResultFile(
            key=key, sha256=sha256, size_bytes=len(content), content_type="text/html; charset=utf-8"
        )
        files[name.replace("_", ".")] = file.model_dump()
    await report(
        gateway,
        reported(
            LifecycleType.COMPLETED,
            task_id,
            service=service,
            kind="user.created",
            result={"pages": 1, "files": files},
            has_files=True,
        ),
    )


async def test_files_are_listed_and_given_out_as_files_and_never_as_pages(gateway: Gateway) -> None:
    task_id = await posted(gateway)
    path = f"/v1/tasks/{task_id}/files"
    assert (await gateway.client.get(path)).json() == {"items": []}
    waiting = await gateway.client.get(f"{path}/invoice.pdf")
    assert "pending" in problem(waiting, 409, "not_produced_yet")["detail"]
    assert waiting.headers["Retry-After"] == "1"

    await made(gateway, task_id, invoice_pdf=PDF, empty_txt=b"")

    items = (await gateway.client.get(path)).json()["items"]
    assert [item["name"] for item in items] == ["empty.txt", "invoice.pdf"]
    assert items[1] == {
        "name": "invoice.pdf",
        "service": "email",
        "size_bytes": len(PDF),
        "sha256": hashlib.sha256(PDF).hexdigest(),
        "content_type": "text/html; charset=utf-8",
        "links": {"self": f"{path}/invoice.pdf?service=email"},
    }
    for address in (f"{path}/invoice.pdf", items[1]["links"]["self"]):
        answer = await gateway.client.get(address)
        assert (answer.status_code, answer.content) == (200, PDF)
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="invoice.pdf"'
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert answer.headers["Content-Length"] == str(len(PDF))
        assert answer.headers["ETag"] == f'"{hashlib.sha256(PDF).hexdigest()}"'
    head = await gateway.client.head(f"{path}/invoice.pdf")
    assert (head.status_code, head.content) == (200, b"")
    assert (await gateway.client.get(f"{path}/empty.txt")).content == b""


async def test_files_of_one_name_are_told_apart_by_their_service(gateway: Gateway) -> None:
    task_id = await posted(gateway)
    await made(gateway, task_id, "email", a_txt=b"by email")
    await made(gateway, task_id, "sync", a_txt=b"by sync", b_txt=b"by sync alone")
    path = f"/v1/tasks/{task_id}/files"

    assert "email, sync" in problem(await gateway.client.get(f"{path}/a.txt"), 409, "several_files")["detail"]
    assert (await gateway.client.get(f"{path}/a.txt?service=sync")).content == b"by sync"
    assert (await gateway.client.get(f"{path}/b.txt")).content == b"by sync alone"
    problem(await gateway.client.get(f"{path}/b.txt?service=email"), 404, "no_such_file")
    problem(await gateway.client.get(f"{path}/c.txt"), 404, "no_such_file")
    problem(await gateway.client.get(f"/v1/tasks/{uuid4()}/files"), 404, "no_such_task")
    problem(await gateway.client.get(f"/v1/tasks/{uuid4()}/files/a.txt"), 404, "no_such_task")


async def test_a_result_that_names_files_of_another_task_or_upload_names_none(gateway: Gateway) -> None:
    task_id, other = await posted(gateway), await posted(gateway)
    await made(gateway, other, secret_txt=b"of another task")
    await made(gateway, task_id, of=other, secret_txt=b"of another task")
    assert (await gateway.client.get(f"/v1/tasks/{task_id}/files")).json() == {"items": []}
    results: list[Any] = ["text", {"a": 1}, {"../a": {}}, None, ["a"]]
    for strange in results:
        third = await posted(gateway)
        event = reported(LifecycleType.COMPLETED, third, kind="user.created", result={"files": strange})
        await report(gateway, event)
        assert (await gateway.client.get(f"/v1/tasks/{third}/files")).json() == {"items": []}


async def test_files_go_with_the_erasure_of_their_task(gateway: Gateway) -> None:
    task_id = await posted(gateway)
    await made(gateway, task_id, "email", a_txt=PDF)
    await made(gateway, task_id, "sync")
    answer = await gateway.post("/v1/erasures", {"tasks": [task_id]})
    assert answer.json()["tasks"] == 1

    assert (await gateway.client.get(f"/v1/tasks/{task_id}/files")).json() == {"items": []}
    problem(await gateway.client.get(f"/v1/tasks/{task_id}/files/a.txt"), 410, "no_longer_kept")
    await _are_removed(gateway, PDF, task_id)


async def test_files_go_with_their_task_and_not_before(gateway: Gateway) -> None:
    task_id = await posted(gateway)
    await made(gateway, task_id, "email", a_txt=PDF)
    await made(gateway, task_id, "sync")
    later = datetime.now(UTC) + 2 * UNTOUCHED_FOR
    assert await Collector(gateway.resources.records, gateway.resources.objects).collect(later) == 0
    assert (await gateway.client.get(f"/v1/tasks/{task_id}/files/a.txt")).content == PDF

    now = datetime.now(UTC)
    with gateway.resources.records.engine.begin() as connection:
        connection.execute(OUTBOX.delete())
        connection.execute(update(TASKS).values(completed_at=now - timedelta(days=1), created_at=now))
        prune_tasks(connection, [PruneStep(State.COMPLETED, now, now, 100)])

    await _are_removed(gateway, PDF, task_id)
    problem(await gateway.client.get(f"/v1/tasks/{task_id}/files/a.txt"), 404, "no_such_task")


async def test_a_file_that_the_store_has_lost_is_gone(gateway: Gateway) -> None:
    task_id = await posted(gateway)
    await made(gateway, task_id, a_txt=PDF)
    await gateway.resources.objects.delete_under(results_of(task_id))
    problem(await gateway.client.get(f"/v1/tasks/{task_id}/files/a.txt"), 410, "no_longer_kept")


async def test_a_task_is_asked_for_its_files_by_its_own_tenant_alone(tmp_path: Path, ledger_url: str) -> None:
    async with running(tmp_path, ledger_url=ledger_url, gateway_auth="keys") as gateway:
        scopes = (Scope.SUBMIT, Scope.READ)
        own, other = [await key_in(gateway, *scopes, tenant=name) for name in ("acme", "beta")]
        submits = await key_in(gateway, Scope.SUBMIT, tenant="acme")
        task_id = await posted(gateway, **own)
        await made(gateway, task_id, a_txt=PDF)
        for path in (f"/v1/tasks/{task_id}/files", f"/v1/tasks/{task_id}/files/a.txt"):
            assert (await gateway.client.get(path, headers=own)).status_code == 200
            problem(await gateway.client.get(path, headers=other), 404, "no_such_task")
            problem(await gateway.client.get(path, headers=submits), 403, "scope_missing")


async def _are_removed(gateway: Gateway, content: bytes, task_id: str) -> None:
    collector = Collector(gateway.resources.records, gateway.resources.objects)
    sha256 = hashlib.sha256(content).hexdigest()
    key = f"{results_of(task_id)}/{sha256[:2]}/{sha256}"
    assert await gateway.resources.objects.exists(key)
    assert await collector.collect(datetime.now(UTC) + timedelta(seconds=1)) == 1
    assert not await gateway.resources.objects.exists(key)
    rows: list[dict[str, Any]] = await gateway.rows(FILES)
    assert rows == []
