"""The command in this process, on a gateway that is really served: a port, a ledger, no broker."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Connection, delete

from waybill_cli.main import run
from waybill_contracts.wire.lifecycle import LifecycleEvent
from waybill_database import open_engine
from waybill_gateway.app import create_app
from waybill_gateway.settings import GatewaySettings
from waybill_ledger import apply_events
from waybill_ledger.schema.tables import OUTBOX, SUBTASKS
from waybill_testkit.empty_ledger import put_empty_ledger

#: Nobody listens on port 1 of the loopback.
NO_BROKER = "amqp://guest:guest@127.0.0.1:1/"
WAYBILL = (sys.executable, "-m", "waybill_cli")
NOWHERE = "http://127.0.0.1:1"
EMAIL = {"to": "ada@example.com", "subject": "Hello", "text": "Good morning."}
START_SECONDS, POLL_SECONDS = 60, 0.01


@dataclass(frozen=True)
class Served:
    """A gateway, and what the test does past the command."""

    url: str
    ledger_url: str

    def post(self, path: str, body: object) -> str:
        """Has a task accepted; its id."""
        answer = httpx.post(f"{self.url}{path}", json=body).raise_for_status()
        task_id: str = answer.json()["id"]
        return task_id

    def happened(self, *events: LifecycleEvent) -> None:
        """What the services would have told."""
        self.write(lambda connection: apply_events(connection, list(events)))

    def published(self) -> None:
        """What a sweep would have done once the broker is there."""
        self.write(lambda connection: connection.execute(delete(OUTBOX)))

    def forget_subtasks(self, task_id: str) -> None:
        """Damages a record: a task without subtasks can never have an outcome."""
        self.write(
            lambda connection: connection.execute(delete(SUBTASKS).where(SUBTASKS.c.task_id == task_id))
        )

    def write(self, change: Callable[[Connection], object]) -> None:
        """Changes the ledger past everyone."""
        engine = open_engine(self.ledger_url, connections=1)
        try:
            with engine.begin() as connection:
                change(connection)
        finally:
            engine.dispose()


@dataclass(frozen=True)
class Ran:
    """How a command line ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def document(self) -> dict[str, Any]:
        [line] = self.lines
        return line


async def ran_apart(*arguments: str, program: Sequence[str] = WAYBILL) -> Ran:
    """How the command ended in a process of its own, which nothing of this one's environment configures."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WAYBILL_")}
    process = await asyncio.create_subprocess_exec(
        *program,
        *arguments,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


class Waybill:
    """The command, as a test types it."""

    def __init__(self, captured: pytest.CaptureFixture[str], url: str) -> None:
        self._captured = captured
        self._url = url

    def __call__(self, *arguments: str | Path | int) -> Ran:
        self._captured.readouterr()
        code = run([*map(str, arguments), "--url", self._url])
        said = self._captured.readouterr()
        return Ran(code, said.out, said.err)


@contextmanager
def served(folder: Path, **changes: Any) -> Iterator[Served]:
    """A gateway with an empty ledger."""
    ledger_url = put_empty_ledger(folder / "ledger.db")
    settings = GatewaySettings(
        ledger_url=ledger_url,
        object_store_url=f"file://{folder}/objects",
        amqp_url=NO_BROKER,
        sync_targets=("crm",),
        **changes,
    )
    # What a gateway logs goes to stdout, which is the command's here.
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    try:
        with listening(create_app(settings)) as url:
            yield Served(url, ledger_url)
    finally:
        structlog.configure(**before)


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """Serves an application from another thread; gives its URL."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    assert server.started, "the gateway did not start"
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


@pytest.fixture
def waybill(gateway: Served, capsys: pytest.CaptureFixture[str]) -> Waybill:
    return Waybill(capsys, gateway.url)
