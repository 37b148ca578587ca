"""The client against a real HTTP server on a loopback socket that answers, redirects, hangs and vanishes."""

import asyncio
import contextlib
import json
import re
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial

import pytest
from http_peer import Peer, answer, base_url_of, client_for, put

from waybill_sync.client import MAX_BODY_BYTES, SyncAnswer, SyncClient
from waybill_testkit.eventually import eventually
from waybill_worker.attempt.circuit import CircuitPolicy
from waybill_worker.errors import (
    CircuitOpenError,
    PermanentError,
    RateLimitedError,
    ServerFailureError,
    TransientError,
    UnansweredError,
    UnreachableError,
)

SECRET = "s3cret-token"
HEADERS = {"crm": {"Authorization": f"Bearer {SECRET}"}}


async def test_a_record_is_put_with_its_key_and_its_targets_headers() -> None:
    peer = Peer(answer(201, Location="/api/users/7"))
    async with client_for(peer, headers=HEADERS) as client:
        result = await put(client, data={"name": "Ädä", "n": [1, None]})
        await put(client, target="erp")

    (line, headers, body), (_, erp_headers, _) = peer.requests
    assert result == SyncAnswer(201, "/api/users/7")
    assert line == "PUT /api/users/7 HTTP/1.1"
    assert headers["idempotency-key"] == "task-1.sync"
    assert headers["content-type"] == "application/json"
    assert headers["authorization"] == f"Bearer {SECRET}"
    assert "authorization" not in erp_headers
    assert json.loads(body) == {"name": "Ädä", "n": [1, None]}


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_every_2xx_is_a_success(status: int) -> None:
    peer = Peer(answer(status, b"" if status == 204 else b'{"ok": true}'))
    async with client_for(peer) as client:
        assert [await put(client) for _ in range(3)] == [SyncAnswer(status, None)] * 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 412, 413, 422])
async def test_a_refusal_is_permanent(status: int) -> None:
    async with client_for(Peer(answer(status, b'{"detail": "no such field"}'))) as client:
        with pytest.raises(PermanentError, match=rf"target 'crm' answered {status}: .*no such field"):
            await put(client)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        *((status, TransientError) for status in (408, 409, 425)),
        (429, RateLimitedError),
        *((status, ServerFailureError) for status in (500, 502, 503, 504)),
    ],
)
@pytest.mark.parametrize(("header", "wait"), [("", None), ("17", 17), ("soon", None)])
async def test_a_passing_trouble_says_who_is_to_wait_for_what(
    status: int, error: type[TransientError | RateLimitedError], header: str, wait: float | None
) -> None:
    async with client_for(Peer(answer(status, Retry_After=header))) as client:
        with pytest.raises(error, match=rf"target 'crm' answered {status}$") as failed:
            await put(client)

    assert type(failed.value) is error
    assert failed.value.retry_after == wait


async def test_a_target_that_only_fails_is_left_alone_and_the_others_are_not() -> None:
    peer = Peer(*[answer(503)] * 3, answer(204))
    async with client_for(peer, circuit=CircuitPolicy(threshold=3, base_seconds=60)) as client:
        for _ in range(3):
            with pytest.raises(ServerFailureError):
                await put(client)
        with pytest.raises(CircuitOpenError, match="target 'crm' did not answer lately") as put_off:
            await put(client)
        assert len(peer.requests) == 3
        assert await put(client, target="erp") == SyncAnswer(204, None)

    assert put_off.value.retry_after is not None
    assert 0 < put_off.value.retry_after <= 60


async def test_a_target_is_tried_again_when_its_time_is_over_and_used_once_it_answers() -> None:
    peer = Peer(*[answer(503)] * 2, answer(204))
    async with client_for(peer, circuit=CircuitPolicy(threshold=2, base_seconds=0.05)) as client:
        for _ in range(2):
            with pytest.raises(ServerFailureError):
                await put(client)

        async def answers() -> bool:
            try:
                return await put(client) == SyncAnswer(204, None)
            except CircuitOpenError:
                return False

        await eventually(answers)
        assert await put(client) == SyncAnswer(204, None)

    assert len(peer.requests) == 4


@pytest.mark.parametrize("status", [204, 400, 409, 429])
async def test_single_records_that_fail_do_not_cut_the_others_off(status: int) -> None:
    answers = [answer(500), answer(500), answer(status)] * 5
    async with client_for(Peer(*answers), circuit=CircuitPolicy(threshold=3)) as client:
        for _ in answers:
            with contextlib.suppress(ServerFailureError, PermanentError, TransientError, RateLimitedError):
                await put(client)


async def test_a_wait_until_a_date_is_passed_on() -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(hours=12), usegmt=True)
    async with client_for(Peer(answer(503, Retry_After=moment))) as client:
        with pytest.raises(TransientError) as failed:
            await put(client)

    assert failed.value.retry_after is not None
    assert 11 * 3600 < failed.value.retry_after <= 12 * 3600


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304])
async def test_a_redirect_is_not_followed(status: int) -> None:
    peer = Peer(answer(status, Location="/elsewhere"))
    async with client_for(peer, headers=HEADERS) as client:
        with pytest.raises(PermanentError, match="redirects are not followed"):
            await put(client)

    assert len(peer.requests) == 1


async def test_a_targets_words_are_masked_and_bounded() -> None:
    body = f"you sent Bearer {SECRET} for ada@example.com\n".encode() + b"x" * 1_000_000
    async with client_for(Peer(answer(400, body)), headers=HEADERS) as client:
        with pytest.raises(PermanentError) as refused:
            await put(client)

    assert "you sent *** for ***@*** xxx" in str(refused.value)
    assert len(str(refused.value)) < 600


async def test_a_body_without_end_is_cut_off() -> None:
    endless = answer(500).replace(b"Content-Length: 0", b"Content-Length: 99999999") + b"y" * MAX_BODY_BYTES
    async with client_for(Peer(endless), max_connections=1) as client:
        for _ in range(2):  # the first one must give its connection back
            with pytest.raises(TransientError, match="answered 500: yyy"):
                await put(client)


@pytest.mark.parametrize("received", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"])
async def test_a_server_that_hangs_is_given_up_and_its_place_given_free(
    monkeypatch: pytest.MonkeyPatch, received: bytes
) -> None:
    released = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(received)
        await writer.drain()
        released.set()
        await reader.read()

    peer = Peer(answer(200))
    async with client_for(peer, max_connections=1) as client:
        monkeypatch.setattr(peer, "_answer_one", hang)
        writing = asyncio.create_task(put(client))
        await released.wait()
        monkeypatch.undo()
        loop = asyncio.get_running_loop()
        while not writing.done():
            monkeypatch.setattr(loop, "time", partial(float, loop.time() + 60))
            await asyncio.sleep(0)
        monkeypatch.undo()
        with pytest.raises(UnansweredError, match="no complete answer within 10 s"):
            await writing
        assert (await put(client)).status == 200


async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    client = SyncClient({"crm": f"http://127.0.0.1:{port}"})

    with pytest.raises(UnreachableError, match="no answer from target 'crm': ConnectError") as failed:
        await put(client)
    assert not isinstance(failed.value, UnansweredError), "nothing was sent, so nothing is written"


@pytest.mark.parametrize(
    "received", [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", b"SMTP\r\n\r\n"]
)
async def test_after_a_dropped_connection_or_gibberish_the_record_may_be_written(
    monkeypatch: pytest.MonkeyPatch, received: bytes
) -> None:
    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(received)
        raise ConnectionResetError("drops the connection")

    peer = Peer(answer(200))
    monkeypatch.setattr(peer, "_answer_one", drop)
    async with client_for(peer) as client:
        with pytest.raises(UnansweredError, match="no answer from target 'crm'"):
            await put(client)


@pytest.mark.parametrize(
    ("record_id", "path"),
    [("a/b", "a%2Fb"), ("a?x#y", "a%3Fx%23y"), ("%2e%2e", "%252e%252e"), ("a~b", "a~b")],
)
async def test_an_id_reaches_the_server_as_one_segment(record_id: str, path: str) -> None:
    peer = Peer(answer(200))
    async with client_for(peer) as client:
        await put(client, record_id)

    assert peer.requests[0][0] == f"PUT /api/users/{path} HTTP/1.1"


async def test_what_cannot_be_sent_is_refused_before_anything_is() -> None:
    peer = Peer(answer(200))
    async with client_for(peer) as client:
        with pytest.raises(
            PermanentError, match=re.escape("no target 'http://evil.test'; configured: crm, erp")
        ):
            await put(client, target="http://evil.test")
        with pytest.raises(PermanentError, match="leaves its segment"):
            await put(client, "../admin")
        with pytest.raises(PermanentError, match="JSON"):
            await put(client, data={"n": float("nan")})

    assert peer.connections == 0


async def test_the_environments_proxy_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    async with client_for(Peer(answer(200))) as client:
        assert (await put(client)).status == 200


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_nothing_reaches_the_address_that_a_target_names_instead(status: int) -> None:
    elsewhere = Peer(answer(200))
    async with base_url_of(elsewhere.serve) as base:
        inside = f"{base}/latest/meta-data"
        async with client_for(Peer(answer(status, Location=inside)), headers=HEADERS) as client:
            with pytest.raises(PermanentError, match="redirects are not followed"):
                await put(client)

    assert elsewhere.connections == 0


@pytest.mark.parametrize(
    "hostile",
    [
        "http://169.254.169.254/",
        "//169.254.169.254/",
        "@169.254.169.254",
        "1?admin=true",
        "1#fragment",
        "1;v=2",
        "1%2e%2e%2f",
        "%0d%0aX-Injected:1",
        "1\r\nHost: elsewhere\r\n",
        "1\x00",
        "\u2028",
    ],
)
async def test_an_id_changes_neither_host_nor_path_nor_headers(hostile: str) -> None:
    peer = Peer(answer(200))
    async with client_for(peer) as client:
        await put(client, hostile)

    [(line, headers, _)] = peer.requests
    method, path, version = line.split(" ")
    assert (method, version) == ("PUT", "HTTP/1.1")
    assert path.startswith("/api/users/")
    assert not set(path.removeprefix("/api/users/")) & set("/?#@;:")
    assert headers["host"].startswith("127.0.0.1:")
    assert "x-injected" not in headers
