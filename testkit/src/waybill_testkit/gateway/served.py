"""The gateway as a server of this process: a port, a real ledger and object store, no broker."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import structlog
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Connection, delete

from waybill_contracts.wire import LifecycleEvent
from waybill_database import open_engine
from waybill_gateway.app import create_app
from waybill_ledger import apply_events
from waybill_ledger.schema import OUTBOX, SUBTASKS
from waybill_testkit.empty_ledger import put_empty_ledger
from waybill_testkit.gateway.in_process import settings_in

START_SECONDS: Final = 60
POLL_SECONDS: Final = 0.01


@dataclass(frozen=True)
class Served:
    """A gateway, and what a test does past it."""

    url: str
    ledger_url: str

    def post(self, path: str, body: object) -> str:
        """Has a task accepted; returns its id."""
        answer = httpx.post(
            f"{self.url}{path}",
            json=body,
            trust_env=False,
            verify=False,  # noqa: S501 - by HTTP: to read the system's certificates takes longer than the call
        ).raise_for_status()
        task_id: str = answer.json()["id"]
        return task_id

    def happened(self, *events: LifecycleEvent) -> None:
        """Applies what services would have reported."""
        self.write(lambda connection: apply_events(connection, list(events)))

    def published(self) -> None:
        """Does what a sweep would have done once the broker is there."""
        self.write(lambda connection: connection.execute(delete(OUTBOX)))

    def forget_subtasks(self, task_id: str) -> None:
        """Damages a record: a task without subtasks can never have an outcome."""
        self.write(
            lambda connection: connection.execute(delete(SUBTASKS).where(SUBTASKS.c.task_id == task_id))
        )

    def write(self, change: Callable[[Connection], object]) -> None:
        """Changes the ledger past the gateway."""
        engine = open_engine(self.ledger_url, connections=1)
        try:
            with engine.begin() as connection:
                change(connection)
        finally:
            engine.dispose()


@contextmanager
def served(folder: Path, **changes: Any) -> Iterator[Served]:
    """Serves a gateway with an empty ledger; `changes` are fields of its settings."""
    ledger_url = put_empty_ledger(folder / "ledger.db")
    # What a gateway logs goes to stdout, which may be that of the code under test.
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    try:
        with listening(create_app(settings_in(folder, ledger_url=ledger_url, **changes))) as url:
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
