"""`python -m waybill_gateway` as a process, and how it stops."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from waybill_testkit.empty_ledger import empty_ledger
from waybill_testkit.gateway.in_process import EMAIL, NO_BROKER
from waybill_testkit.machine import ForkedProcess

PATIENCE = 60.0


@contextmanager
def gateway(folder: Path, listener: socket.socket, **settings: str) -> Iterator[ForkedProcess]:
    """A gateway that shares our listener."""
    environment = os.environ | {
        "WAYBILL_LEDGER_URL": f"sqlite:///{folder}/ledger.db",
        "WAYBILL_OBJECT_STORE_URL": f"file://{folder}/objects",
        "WAYBILL_AMQP_URL": NO_BROKER,
        **{f"WAYBILL_{name}": value for name, value in settings.items()},
    }
    process = ForkedProcess(
        "waybill_gateway",
        env=environment,
        log=folder / "gateway.log",
        sockets={"WAYBILL_LISTENER_FD": listener},
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    (tmp_path / "ledger.db").write_bytes(empty_ledger())
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield listener


@pytest.fixture
def client(listener: socket.socket) -> Iterator[httpx.Client]:
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with httpx.Client(base_url=address, timeout=PATIENCE, trust_env=False) as client:
        yield client


def until(holds: Callable[[], bool]) -> None:
    deadline = monotonic() + PATIENCE
    while not holds():
        assert monotonic() < deadline
        sleep(0.02)


def status(client: httpx.Client) -> str:
    word: str = client.get("/readyz", headers={"Connection": "close"}).json()["status"]
    return word


def test_a_stopping_gateway_is_not_ready_but_serves_on_and_closes_each_connection(
    tmp_path: Path, listener: socket.socket, client: httpx.Client
) -> None:
    with gateway(tmp_path, listener, DRAIN_SECONDS="30") as process:
        kept = client.get("/readyz")
        assert (kept.json()["pid"], kept.headers.get("connection")) == (process.pid, None)
        process.terminate()
        until(lambda: status(client) == "stopping")
        ready = client.get("/readyz")
        posted = client.post("/v1/emails", json=EMAIL)
        read = client.get(posted.headers["location"])
        process.kill()

    assert (ready.status_code, ready.json()["ledger"]) == (503, True)
    assert [answer.status_code for answer in (posted, read)] == [202, 200]
    assert {answer.headers["connection"] for answer in (ready, posted, read)} == {"close"}


def test_a_request_that_is_under_way_is_ended_and_the_exit_is_in_order(
    tmp_path: Path, listener: socket.socket
) -> None:
    body = b'{"to": "ann@example.com", "subject": "Hello", "text": "Good morning."}'
    lines = ("POST /v1/emails HTTP/1.1", "Host: x", "Content-Type: application/json")
    head = "\r\n".join((*lines, f"Content-Length: {len(body)}", "", ""))
    with ExitStack() as stack:
        process = stack.enter_context(gateway(tmp_path, listener, DRAIN_SECONDS="0"))
        caller = stack.enter_context(socket.create_connection(listener.getsockname(), PATIENCE))
        caller.sendall(head.encode() + body[:10])
        idle = stack.enter_context(socket.create_connection(listener.getsockname(), PATIENCE))
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(65_536).startswith(b"HTTP/1.1 200")  # what came before has been taken in
        process.terminate()
        while idle.recv(65_536):  # until it has closed all that is idle
            pass
        caller.sendall(body[10:])
        answer = b""
        while chunk := caller.recv(65_536):
            answer += chunk
        code = process.wait(PATIENCE)

    assert answer.startswith(b"HTTP/1.1 202 Accepted\r\n")
    assert b"\r\nconnection: close\r\n" in answer
    assert code == 0


def test_one_takes_over_from_another_without_a_refused_connection(
    tmp_path: Path, listener: socket.socket, client: httpx.Client
) -> None:
    # On a connection each: one that rests may be closed as we use it, by HTTP's own rules.
    alone = {"Connection": "close"}
    statuses = set()
    with gateway(tmp_path, listener, DRAIN_SECONDS="0.2") as first:
        client.get("/healthz", headers=alone)
        with gateway(tmp_path, listener) as second:
            until(lambda: (tmp_path / "gateway.log").read_bytes().count(b"serving") == 2)
            first.terminate()
            while first.poll() is None:
                statuses.add(client.get("/healthz", headers=alone).status_code)
            pids = {client.get("/healthz", headers=alone).json()["pid"] for _ in range(20)}

    assert statuses == {200}
    assert pids == {second.pid}


def test_without_a_schema_it_ends_and_says_what_to_do(tmp_path: Path, listener: socket.socket) -> None:
    (tmp_path / "ledger.db").unlink()
    with gateway(tmp_path, listener) as process:
        assert process.wait(PATIENCE) != 0
    assert b"run `python -m waybill_ledger upgrade`" in (tmp_path / "gateway.log").read_bytes()
