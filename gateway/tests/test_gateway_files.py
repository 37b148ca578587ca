"""Uploads of files: by their content, for one tenant, and never half."""

import asyncio
import errno
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from keys_under_test import key_in

from waybill_contracts.events import Event
from waybill_contracts.files import FileRef
from waybill_contracts.registry import HandledKind, Manifest
from waybill_gateway.files.collector import Collector
from waybill_gateway.files.storing import UNTOUCHED_FOR
from waybill_ledger import Accepted, FilesMissing, Scope, Submission, accept
from waybill_ledger.registry import ApplyManifest, apply_manifests, confirm_declared
from waybill_ledger.schema.tables import FILES, TASK_FILES
from waybill_testkit.bucket import Bucket
from waybill_testkit.gateway.in_process import Gateway, fields, problem, running
from waybill_testkit.samples import NOON, new_task

INVOICE = b"%PDF-1.7 an invoice"
SHA256 = hashlib.sha256(INVOICE).hexdigest()
KEY = f"files/default/{SHA256[:2]}/{SHA256}"


@pytest.fixture(params=["file", "s3"])
async def gateway(request: pytest.FixtureRequest, tmp_path: Path, ledger_url: str) -> AsyncIterator[Gateway]:
    bucket: Bucket | None = request.getfixturevalue("bucket") if request.param == "s3" else None
    store = {} if bucket is None else bucket.settings()
    async with running(tmp_path, ledger_url=ledger_url, max_file_bytes=3_000_000, **store) as started:
        yield started


async def post(
    gateway: Gateway, content: Any = INVOICE, path: str = "/v1/files", **headers: str
) -> httpx.Response:
    named = {"Content-Type": "application/pdf"} | {n.replace("_", "-"): v for n, v in headers.items()}
    return await gateway.client.post(path, content=content, headers=named)


async def test_a_file_is_stored_by_its_content_and_answered_as_a_reference(gateway: Gateway) -> None:
    answer = await post(gateway, path="/v1/files?name=invoice%207.pdf")
    assert answer.status_code == 201, answer.text
    ref = FileRef.model_validate(answer.json())
    assert ref.expires_at is not None
    assert timedelta(0) <= datetime.now(UTC) + UNTOUCHED_FOR - ref.expires_at < timedelta(minutes=5)
    assert answer.json() == {
        "key": KEY,
        "sha256": SHA256,
        "size_bytes": len(INVOICE),
        "content_type": "application/pdf",
        "name": "invoice 7.pdf",
        "expires_at": answer.json()["expires_at"],
    }
    assert await gateway.resources.objects.get(KEY) == INVOICE
    assert (await post(gateway)).json()["key"] == KEY
    [row] = await gateway.rows(FILES)
    assert (row["tasks"], row["stored_at"] is None) == (0, False)


async def test_a_large_file_arrives_in_pieces_and_is_stored_whole(gateway: Gateway) -> None:
    content = bytes(range(256)) * 11_000

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 100_001):
            yield content[start : start + 100_001]

    answer = await post(gateway, pieces())
    assert answer.status_code == 201, answer.text
    assert answer.json()["size_bytes"] == len(content)
    assert answer.json()["sha256"] == hashlib.sha256(content).hexdigest()
    assert await gateway.resources.objects.get(answer.json()["key"]) == content


async def test_an_empty_file_is_a_file_and_its_type_may_be_left_out(gateway: Gateway) -> None:
    answer = await gateway.client.post("/v1/files", content=b"")
    assert answer.status_code == 201, answer.text
    assert (answer.json()["size_bytes"], answer.json()["content_type"]) == (0, "application/octet-stream")
    assert await gateway.resources.objects.get(answer.json()["key"]) == b""


@pytest.mark.parametrize("body", ["declared", "in pieces"])
async def test_a_file_that_is_too_large_is_refused_and_leaves_nothing(gateway: Gateway, body: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(31):
            yield bytes(100_000)

    answer = await post(gateway, bytes(3_000_001) if body == "declared" else pieces())
    assert "3,000,000" in problem(answer, 413, "too_large")["detail"]
    assert await gateway.rows(FILES) == []


async def test_a_form_or_a_wrong_type_or_name_is_refused(gateway: Gateway) -> None:
    form = await gateway.client.post("/v1/files", files={"file": ("a.pdf", INVOICE)})
    problem(form, 415, "form_body")
    problem(await gateway.client.post("/v1/files", data={"a": "b"}), 415, "form_body")
    for wrong in ("pdf", "text/html; ", "a/b\tc"):
        assert fields(await post(gateway, Content_Type=wrong)) == {"Content-Type"}
    for name in ("a%2fb", "a%0ab", "", 201 * "a"):
        assert fields(await post(gateway, path=f"/v1/files?name={name}")) == {"name"}
    problem(await post(gateway, Idempotency_Key="a b"), 400, "bad_idempotency_key")
    assert await gateway.rows(FILES) == []


async def test_an_upload_for_which_there_is_no_room_is_asked_for_again(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_error: object) -> None:
            """Nothing was stored."""

        def write(self, _piece: bytes) -> None:
            raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr("waybill_gateway.files.receiving.tempfile.TemporaryFile", Full)
    answer = await post(gateway)
    problem(answer, 503, "no_room")
    assert answer.headers["Retry-After"] == "10"
    assert await gateway.rows(FILES) == []


async def test_a_task_keeps_its_file_and_an_unused_one_expires(gateway: Gateway) -> None:
    used = (await post(gateway)).json()["key"]
    unused = (await post(gateway, b"never used")).json()["key"]
    collector = Collector(gateway.resources.records, gateway.resources.objects)
    task = replace(new_task(), files=(used,))
    assert isinstance(await gateway.resources.records.write(accept, Submission(task)), Accepted)

    assert await collector.collect(datetime.now(UTC) - UNTOUCHED_FOR) == 0
    assert await collector.collect(datetime.now(UTC)) == 1

    assert await gateway.resources.objects.exists(used)
    assert not await gateway.resources.objects.exists(unused)
    late = await gateway.resources.records.write(accept, Submission(replace(new_task(), files=(unused,))))
    assert late == FilesMissing((unused,))
    assert [row["key"] for row in await gateway.rows(TASK_FILES)] == [used]


async def test_uploads_and_removals_at_once_never_leave_a_task_without_its_file(gateway: Gateway) -> None:
    contents = [b"a", b"b", b"c"]
    collector = Collector(gateway.resources.records, gateway.resources.objects)
    for content in contents:
        await post(gateway, content)

    async def uploaded_and_used(content: bytes) -> bool:
        key = (await post(gateway, content)).json()["key"]
        # Marked between the two, it is refused: no task without its file.
        answer = await gateway.resources.records.write(accept, Submission(replace(new_task(), files=(key,))))
        return isinstance(answer, Accepted)

    accepted, _ = await asyncio.gather(
        asyncio.gather(*(uploaded_and_used(content) for content in contents * 5)),
        asyncio.gather(*(collector.collect(datetime.now(UTC)) for _ in range(4))),
    )
    rows = {row["key"]: row["tasks"] for row in await gateway.rows(FILES)}
    assert sum(rows.values()) == sum(accepted)
    for key, tasks in rows.items():
        assert tasks == 0 or await gateway.resources.objects.exists(key), key


class Scanned(Event, kind="scan.received"):
    """A kind of somebody's own, with files in all places that data has."""

    document: FileRef
    pages: list[FileRef] = []  # noqa: RUF012 - pydantic copies it
    more: dict[str, FileRef] = {}  # noqa: RUF012 - pydantic copies it
    note: str = ""


async def registered(gateway: Gateway) -> None:
    handled = HandledKind(kind=Scanned.KIND, version=1, reads=(1,), data=Scanned.model_json_schema())
    stated = Manifest(service="scanner", release="1", handles=(handled,))
    application = await gateway.resources.records.write(apply_manifests, ApplyManifest(stated, NOON, "ann"))
    assert application.refusals == ()
    await gateway.resources.records.write(confirm_declared, (application.registry, NOON))


async def test_a_task_refers_to_files_wherever_they_are_in_its_data(gateway: Gateway) -> None:
    await registered(gateway)
    refs = [(await post(gateway, content)).json() for content in (b"a", b"b", b"c")]
    short = {"key": refs[1]["key"]}
    data = {"document": refs[0], "pages": [refs[0], short], "more": {"x": refs[2]}, "note": refs[0]["key"]}
    answer = await gateway.post("/v1/tasks", {"kind": "scan.received", "data": data})
    assert answer.status_code == 202, answer.text

    kept = {row["key"] for row in await gateway.rows(TASK_FILES)}
    assert kept == {ref["key"] for ref in refs}
    assert {row["tasks"] for row in await gateway.rows(FILES)} == {1}


async def test_a_task_with_missing_files_is_refused_with_their_places_and_may_be_repeated(
    gateway: Gateway,
) -> None:
    await registered(gateway)
    ref = (await post(gateway)).json()
    strange = {"key": f"files/other/aa/{64 * 'a'}"}
    late = hashlib.sha256(b"late").hexdigest()
    missing = {"key": f"files/default/{late[:2]}/{late}"}
    data = {"document": ref, "pages": [ref, missing, strange], "more": {"a/b": missing}}
    refused = await gateway.post("/v1/tasks", {"kind": "scan.received", "data": data}, Idempotency_Key="k")
    errors = problem(refused, 422, "no_such_file")["errors"]
    assert [error["field"] for error in errors] == [
        "/data/pages/1/key",
        "/data/pages/2/key",
        "/data/more/a~1b/key",
    ]
    malformed = {"document": {"key": "files/../default"}}
    answer = await gateway.post("/v1/tasks", {"kind": "scan.received", "data": malformed})
    assert [e["field"] for e in problem(answer, 422, "invalid_data")["errors"]] == ["/data/document/key"]

    assert (await post(gateway, b"late")).json()["key"] == missing["key"]
    data = {"document": ref, "pages": [missing]}
    again = await gateway.post("/v1/tasks", {"kind": "scan.received", "data": data}, Idempotency_Key="k")
    assert again.status_code == 202, again.text
    assert {row["tasks"] for row in await gateway.rows(FILES)} == {1}


async def test_equal_files_of_two_tenants_are_two_files(tmp_path: Path, ledger_url: str) -> None:
    async with running(tmp_path, ledger_url=ledger_url, gateway_auth="keys") as gateway:
        keys = [
            await key_in(gateway, Scope.SUBMIT, tenant=tenant, name=tenant) for tenant in ("first", "second")
        ]
        files = [(await post(gateway, **key)).json()["key"] for key in keys]
        assert files == [f"files/{tenant}/{SHA256[:2]}/{SHA256}" for tenant in ("first", "second")]
        reader = await key_in(gateway, Scope.READ, tenant="first", name="reader")
        problem(await post(gateway, **reader), 403, "scope_missing")


async def test_a_key_with_a_smaller_limit_uploads_no_more(tmp_path: Path, ledger_url: str) -> None:
    async with running(tmp_path, ledger_url=ledger_url, gateway_auth="keys") as gateway:
        key = await key_in(gateway, Scope.SUBMIT, max_body_bytes=10)
        problem(await post(gateway, **key), 413, "too_large")
        assert json.loads((await post(gateway, b"short", **key)).text)["size_bytes"] == 5
