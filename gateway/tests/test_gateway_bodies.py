"""What bodies are refused, and that each refusal is a problem document that repeats nothing of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic_core import from_json, to_json
from structlog.testing import capture_logs

from waybill_ledger.schema.tables import TASKS
from waybill_testkit.gateway.in_process import EMAIL, Gateway, fields, problem, running

SYNC = b'{"target":"crm","resource":"contacts","id":"1","data":%s}'


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path, max_body_bytes=10_000, max_upload_bytes=20_000) as started:
        yield started


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b'{"a":s3cret}',
        b'{"a":"s3cret"',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e400}',
        b'{"a":%s}' % (b"9" * 5000),
        b'{"a":%s%s}' % (b"[" * 250, b"]" * 250),
        b'{"a":%s' % (b"[" * 9000),
        b'{"a":"\\ud800"}',
        b'{"\\udfff":1}',
        b'{"a":"\xff\xfe"}',
    ],
)
async def test_what_is_no_json_is_refused_without_repeating_it(gateway: Gateway, value: bytes) -> None:
    answer = await gateway.post_raw("/v1/syncs", SYNC % value)
    problem(answer, 400, "invalid_json")
    assert "s3cret" not in answer.text
    assert await gateway.count(TASKS) == 0


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (b'{"a":1,"a":2}', b'{"a":2}'),
        (b'{"a":"\\u0000"}', b'{"a":"\\u0000"}'),
        (b'{"a":"\\ud83d\\ude00"}', '{"a":"😀"}'.encode()),
        (b'{"a":%s}' % (b"9" * 400), b'{"a":%s}' % (b"9" * 400)),
        (b'{"a":1.5e300}', b'{"a":1.5e300}'),
        (b'{"a":%s%s}' % (b"[" * 150, b"]" * 150), b'{"a":%s%s}' % (b"[" * 150, b"]" * 150)),
    ],
)
async def test_odd_but_good_json_is_kept_as_it_is(gateway: Gateway, value: bytes, kept: bytes) -> None:
    answer = await gateway.post_raw("/v1/syncs", SYNC % value)
    assert answer.status_code == 202
    [task] = await gateway.rows(TASKS)
    opened = gateway.resources.keyring.open_fields(from_json(task["payload"]), task["id"])
    assert to_json(opened["data"]).replace(b"e+300", b"e300") == kept


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"7"])
async def test_json_that_is_no_object_is_refused(gateway: Gateway, body: bytes) -> None:
    assert fields(await gateway.post_raw("/v1/emails", body)) == {"body"}


async def test_an_empty_body_is_refused(gateway: Gateway) -> None:
    assert fields(await gateway.post_raw("/v1/emails", b"")) == {"body"}


@pytest.mark.parametrize(
    "headers", [{}, {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}]
)
async def test_another_content_type_is_refused(gateway: Gateway, headers: dict[str, str]) -> None:
    answer = await gateway.client.post("/v1/emails", content=SYNC % b"{}", headers=headers)
    problem(answer, 415, "not_json")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "application/vnd.app+json"])
async def test_json_by_its_other_names_is_taken(gateway: Gateway, content_type: str) -> None:
    body = b'{"to":"a@b.test","subject":"s","text":"t"}'
    answer = await gateway.client.post("/v1/emails", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == 202


async def test_a_body_that_is_too_large_is_refused_by_its_length(gateway: Gateway) -> None:
    answer = await gateway.post_raw("/v1/emails", b"x" * 10_001)
    assert "10,000 bytes" in problem(answer, 413, "too_large")["detail"]
    assert answer.headers["Connection"] == "close"


@pytest.mark.parametrize(
    ("path", "content_type", "limit"),
    [
        ("/v1/emails", "application/json", 10_000),
        ("/v1/images", "multipart/form-data; boundary=b", 20_000 + 64 * 1024),
    ],
)
async def test_an_endless_body_is_refused_and_its_rest_taken_in_within_bounds(
    gateway: Gateway, path: str, content_type: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("waybill_gateway.http.body_limit.DRAIN_BYTES", 50_000)
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        while True:
            sent += 1000
            yield b" " * 1000

    answer = await gateway.client.post(path, content=endless(), headers={"Content-Type": content_type})
    problem(answer, 413, "too_large")
    assert sent <= limit + 50_000 + 2000


async def test_a_refused_body_is_taken_in_to_its_end_so_that_its_sender_reads_the_answer(
    gateway: Gateway,
) -> None:
    sent = 0

    async def upload() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1000
            yield b" " * 1000

    headers = {"Content-Type": "application/json"}
    answer = await gateway.client.post("/v1/emails", content=upload(), headers=headers)
    problem(answer, 413, "too_large")
    assert sent == 100_000


async def test_a_body_of_just_the_limit_is_taken(gateway: Gateway) -> None:
    padded = b'{"to":"a@b.test","subject":"s","text":"t"}'.ljust(10_000)
    assert (await gateway.post_raw("/v1/emails", padded)).status_code == 202


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("POST", "/", 405, "method_not_allowed"),
        ("GET", "/v1/emails", 405, "method_not_allowed"),
        ("DELETE", "/v1/tasks", 405, "method_not_allowed"),
        ("PUT", "/healthz", 405, "method_not_allowed"),
        # No redirect to it either: that would name the host that the caller's Host header does.
        ("GET", "/v1/tasks/", 404, "not_found"),
    ],
)
async def test_unknown_paths_and_methods_are_problems_too(
    gateway: Gateway, method: str, path: str, status: int, code: str
) -> None:
    answer = await gateway.client.request(method, path)
    problem(answer, status, code)
    assert ("Allow" in answer.headers) == (status == 405)


async def test_all_methods_of_a_path_are_named(gateway: Gateway) -> None:
    answer = await gateway.client.put("/v1/schedules/01a20797-6d09-71fe-b759-803ec3a459ee")
    assert answer.headers["Allow"] == "GET, HEAD, PATCH, DELETE"
    assert "GET, HEAD, PATCH, DELETE" in problem(answer, 405, "method_not_allowed")["detail"]


async def test_a_defect_is_told_without_its_cause(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("s3cret")

    monkeypatch.setattr(gateway.resources.records, "write", broken)
    with capture_logs() as said:
        answer = await gateway.post("/v1/emails", EMAIL)
    assert "s3cret" in str(said)
    document = problem(answer, 500, "internal_error")
    assert "s3cret" not in answer.text
    assert "Idempotency-Key" in document["detail"]
