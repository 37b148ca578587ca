"""What strangers do to a connection: each ends in bounded time and memory, and says what was wrong."""

import gzip
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from waybill_testkit.empty_ledger import empty_ledger
from waybill_testkit.gateway.in_process import EMAIL, JSON
from waybill_testkit.gateway.process import PATIENCE, Running, gateway

#: Seconds that heads, bodies and unread answers have here, and what a busy machine may add to them.
LIMIT, SLACK = 1.0, 20.0
CONNECTIONS = 20
HEAD = b"POST /v1/emails HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
BODY = json.dumps(EMAIL).encode()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "ledger.db").write_bytes(empty_ledger())
    seconds = dict.fromkeys(("head_seconds", "body_seconds", "unread_seconds"), f"{LIMIT:g}")
    sizes = {"max_connections": str(CONNECTIONS), "max_head_bytes": "8192", "max_body_bytes": "100000"}
    with gateway(folder, f"sqlite:///{folder}/ledger.db", **seconds, **sizes) as running:
        yield running


@pytest.fixture(autouse=True)
def client(served: Running) -> Iterator[httpx.Client]:
    """After each test the next good task goes through, and nothing broke."""
    with httpx.Client(base_url=served.address, timeout=PATIENCE, trust_env=False) as client:
        before = tasks(client)
        yield client
        assert tasks(client) == before
        assert client.post("/v1/emails", json=EMAIL).status_code == 202
    log = served.log.read_text()
    assert "request failed" not in log
    assert "Exception in ASGI" not in log


def tasks(client: httpx.Client) -> int:
    number: int = client.get("/v1/accounting").json()["total"]["accepted"]
    return number


def connect(served: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", served.port), PATIENCE)


def all_of(connection: socket.socket) -> bytes:
    """What comes until the other side closes, or resets because it closed with our bytes unread."""
    answer = b""
    try:
        while chunk := connection.recv(65_536):
            answer += chunk
    except ConnectionResetError:
        pass
    return answer


def refusal(answer: bytes) -> tuple[int, str]:
    """The status and problem of an answer, which is one and the last of its connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in head.lower()
    assert b"application/problem+json" in head
    assert b"uvicorn" not in answer
    document = json.loads(body)
    return document["status"], document["type"].removeprefix("urn:waybill:problem:")


def drip(connection: socket.socket, drop: bytes) -> float:
    """Sends a little again and again until the other side has had enough; gives the seconds that it took."""
    began = monotonic()
    connection.settimeout(0.05)
    while monotonic() < began + SLACK:
        try:
            connection.sendall(drop)
            if not connection.recv(1, socket.MSG_PEEK):
                break
        except TimeoutError:
            continue
        except OSError:
            break
        else:
            break
    connection.settimeout(PATIENCE)
    return monotonic() - began


def test_a_silent_client_is_disconnected(served: Running) -> None:
    began = monotonic()
    with connect(served) as connection:
        assert all_of(connection) == b""
    assert LIMIT / 2 < monotonic() - began < SLACK


@pytest.mark.parametrize(
    ("sent", "drop", "refused"),
    [
        (b"GET /v1/tasks HTTP/1.1\r\n", b"X-A: b\r\n", (408, "slow_head")),
        (HEAD + b"Content-Length: 5000\r\n\r\n", b" ", (408, "slow_body")),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", (408, "slow_body")),
    ],
)
def test_what_comes_too_slowly_has_an_end_however_lively_it_is(
    served: Running, sent: bytes, drop: bytes, refused: tuple[int, str]
) -> None:
    with connect(served) as connection:
        connection.sendall(sent)
        seconds = drip(connection, drop)
        assert refusal(all_of(connection)) == refused
    assert LIMIT / 2 < seconds < SLACK


@pytest.mark.parametrize("length", [b"Content-Length: 5000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
def test_a_body_that_comes_slowly_behind_its_answer_gets_no_second_one(
    served: Running, length: bytes
) -> None:
    with connect(served) as connection:
        connection.sendall(b"POST /v1/nothing HTTP/1.1\r\nHost: x\r\n" + length)
        answer = b""
        while not answer.endswith(b"}"):
            answer += connection.recv(65_536)
        drop = b" " if b"Length" in length else b"1\r\n \r\n"
        seconds = drip(connection, drop)
        answer += all_of(connection)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert LIMIT / 2 < seconds < SLACK


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 9000,
        b"GET /" + b"a" * 9000,
        b"GET / HTTP/1.1\r\n" + b"a" * 9000,
        b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: a\r\n" % number for number in range(101)) + b"\r\n",
    ],
)
def test_a_head_has_a_size(served: Running, head: bytes) -> None:
    with connect(served) as connection:
        connection.sendall(head)
        status, code = refusal(all_of(connection))
    assert (status, code) in {(431, "head_too_large"), (400, "malformed_request")}
    assert status == 431 or not head.startswith(b"GET / ")


HIDDEN = HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"EHLO mail\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"CONNECT internal:22 HTTP/1.1\r\nHost: internal:22\r\n\r\n",
        b"GET /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-\x00: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nX : a\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + HIDDEN,
        HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
        HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + HIDDEN,
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n     " + HIDDEN,
        HEAD + b"Content-Length: +5\r\n\r\n     " + HIDDEN,
        HEAD + b"Content-Length: -1\r\n\r\n" + HIDDEN,
        HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n" + HIDDEN,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + HIDDEN,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n" + HIDDEN,
    ],
)
def test_what_two_servers_could_read_differently_is_read_by_none(served: Running, sent: bytes) -> None:
    with connect(served) as connection:
        connection.sendall(sent)
        assert refusal(all_of(connection))[0] == 400


def test_a_body_without_end_is_refused_while_it_comes(served: Running) -> None:
    sent = 0
    with connect(served) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
        try:
            while sent < 1024**3:
                connection.sendall(chunk)
                sent += len(chunk)
        except OSError:
            pass
    assert sent < 1024**3
    assert peak_memory(served) < 400 * 1024**2


def test_a_length_that_is_too_large_is_refused_before_anything_comes(served: Running) -> None:
    with connect(served) as connection:
        connection.sendall(HEAD + b"Content-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n")
        assert refusal(all_of(connection)) == (413, "too_large")


def test_a_compressed_body_is_not_unpacked(client: httpx.Client) -> None:
    bomb = gzip.compress(BODY.ljust(50_000_000))
    answer = client.post("/v1/emails", content=bomb, headers=JSON | {"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.headers["Accept-Encoding"]) == (415, "identity")
    assert answer.json()["type"] == "urn:waybill:problem:encoded_body"


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
def test_nothing_is_upgraded(client: httpx.Client, protocol: str) -> None:
    answer = client.get("/healthz", headers={"Connection": "Upgrade", "Upgrade": protocol})
    assert answer.status_code == 200
    assert "server" not in answer.headers


def test_unread_answers_are_given_up(served: Running, client: httpx.Client) -> None:
    before = refused(client, "unread")
    with connect(served) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
        deadline = monotonic() + PATIENCE
        while refused(client, "unread") == before:
            assert monotonic() < deadline
            sleep(0.05)


def test_too_many_connections_are_asked_to_retry_and_probes_are_answered(served: Running) -> None:
    with ExitStack() as stack:
        for _ in range(CONNECTIONS + 5):
            held = stack.enter_context(connect(served))
            held.sendall(HEAD + b"Content-Length: 5\r\n\r\n")
        with connect(served) as connection:
            connection.sendall(b"GET /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = all_of(connection)
            assert refusal(answer) == (503, "overloaded")
            assert b"retry-after: 1" in answer
        with connect(served) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert all_of(connection).startswith(b"HTTP/1.1 200 OK\r\n")


def refused(client: httpx.Client, reason: str) -> float:
    sample = f'waybill_http_refused_total{{reason="{reason}"}} '
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.removeprefix(sample)) for line in lines if line.startswith(sample))


def peak_memory(served: Running) -> int:
    """Bytes that it has had at the most."""
    status = Path(f"/proc/{served.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024
