"""Errors of every kind: no answer reveals the gateway's parts, its address, or its input."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from waybill_testkit.gateway.in_process import JSON, Gateway, running

SECRET = "s3cret-value"
#: Names of its parts and paths, and the form of a Python error.
REVEALING = re.compile(
    r"traceback|line \d+, in|\.py\b|/src/|site-packages|pydantic|fastapi|starlette|uvicorn|sqlalchemy|sqlite|"
    r"psycopg|libvips|\bselect\b.*\bfrom\b|insert into|amqp://|127\.0\.0\.1|localhost|0x[0-9a-f]{6}",
    re.IGNORECASE,
)
BODIES = [b"", b"{", b"[]", b"null", b'"%s"', b'{"to": "%s"}', b'{"id": [{"x": "%s"}]}', b"\xff"]
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
PART = b'--b\r\nContent-Disposition: form-data; name="%s"; filename="../../%s"\r\n\r\n'


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path, max_body_bytes=10_000, max_upload_bytes=20_000) as started:
        yield started


def looked_over(gateway: Gateway, answer: httpx.Response, least: int = 400) -> None:
    assert answer.status_code >= least, answer.request.url
    assert answer.headers["content-type"] == "application/problem+json"
    shown = answer.text + str(dict(answer.headers))
    assert not REVEALING.search(shown), shown
    assert SECRET not in shown
    assert str(gateway.folder) not in shown
    assert len(shown) < 20_000


async def posting_paths(gateway: Gateway) -> list[str]:
    document = (await gateway.client.get("/openapi.json")).json()
    # A file may be anything.
    return [path for path, item in document["paths"].items() if "post" in item and path != "/v1/files"]


async def test_nothing_is_shown_by_a_refused_body(gateway: Gateway) -> None:
    for path in await posting_paths(gateway):
        for body in BODIES:
            sent = body.replace(b"%s", SECRET.encode())
            answer = await gateway.client.post(re.sub(r"{\w+}", "x", path), content=sent, headers=JSON)
            # Redeeming, cancelling … of what is not there; a body that is not wanted is not read.
            looked_over(gateway, answer)


# Starlette leaves the file of a form that ends too early to the garbage collector.
@pytest.mark.filterwarnings("ignore:.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "form",
    [
        b"",
        b"--b--\r\n",
        PART % (b"file", SECRET.encode()),
        PART % (b"file", SECRET.encode()) + b"GIF89a\r\n--b--\r\n",
        PART % (b"x" * 5000, b"f") + b"x\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="variants"\r\n\r\n%s\r\n' % SECRET.encode() * 1100
        + b"--b--",
        b"--b\r\n" + b"X-Header: 1\r\n" * 500 + b"\r\nx\r\n--b--\r\n",
        b"--b\r\nX-Long: " + b"x" * 60_000 + b"\r\n\r\nx\r\n--b--\r\n",
    ],
)
async def test_nothing_is_shown_by_a_refused_form(gateway: Gateway, form: bytes) -> None:
    looked_over(gateway, await gateway.client.post("/v1/images", content=form, headers=FORM))
    assert (await gateway.post("/v1/emails", {"to": "a@b.test", "subject": "s", "text": "t"})).is_success


@pytest.mark.parametrize(
    "path", ["/v1/tasks/..%2f..%2fetc", "/v1/tasks?q=%00", "/v1/nothing", "/.git/config", "http://gateway//"]
)
async def test_nothing_is_shown_by_a_strange_path(gateway: Gateway, path: str) -> None:
    looked_over(gateway, await gateway.client.get(path))


@pytest.mark.parametrize(
    "defect",
    [
        OperationalError(
            f"SELECT * FROM tasks WHERE token = '{SECRET}'", {}, Exception("no such table: tasks")
        ),
        RuntimeError(f"amqp://user:{SECRET}@127.0.0.1/ at /srv/gateway.py"),
        KeyError(SECRET),
    ],
)
async def test_nothing_is_shown_by_a_defect(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, defect: Exception
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise defect

    monkeypatch.setattr(gateway.resources.records, "write", broken)
    monkeypatch.setattr(gateway.resources.records, "read", broken)
    sent = {"to": "a@b.test", "subject": SECRET, "text": "t"}
    with capture_logs() as said:
        looked_over(gateway, await gateway.client.get("/v1/tasks"), least=500)
        looked_over(gateway, await gateway.post("/v1/emails", sent), least=500)
    assert [line["log_level"] for line in said].count("error") == 2
