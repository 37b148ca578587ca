"""The gateway in this process: a real ledger and object store in a folder, without a broker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import _lru_cache_wrapper
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.dependencies import models
from sqlalchemy import Select, Table, func, select

from waybill_gateway.app import create_app
from waybill_gateway.runtime import Resources
from waybill_gateway.settings import GatewaySettings
from waybill_testkit.empty_ledger import put_empty_ledger
from waybill_testkit.gateway.documented_problems import require_documented

#: No server listens on port 1 of the loopback: accepting must not need a broker.
NO_BROKER = "amqp://guest:guest@127.0.0.1:1/"
JSON = {"Content-Type": "application/json"}
EMAIL = {"to": "ada@example.com", "subject": "Hello", "text": "Good morning."}


@dataclass(frozen=True)
class Gateway:
    """A gateway that is up."""

    app: FastAPI
    client: httpx.AsyncClient
    folder: Path

    @property
    def resources(self) -> Resources:
        """Its connections and pools."""
        resources: Resources = self.app.state.resources
        return resources

    async def rows(self, query: Select[Any] | Table) -> list[dict[str, Any]]:
        """Returns the rows of a query, or of a whole table, by column."""
        wanted = select(query) if isinstance(query, Table) else query
        found = await self.resources.records.read(lambda connection: connection.execute(wanted).all())
        return [row._asdict() for row in found]

    async def count(self, table: Table) -> int:
        """Returns how many rows a table has."""
        counted = select(func.count().label("n")).select_from(table)
        number: int = (await self.rows(counted))[0]["n"]
        return number

    async def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        """Posts JSON; the names of `headers` have underscores for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(path, json=body, headers=named)

    async def post_raw(self, path: str, body: bytes) -> httpx.Response:
        """Posts bytes as JSON, whatever they are."""
        return await self.client.post(path, content=body, headers=JSON)


def settings_in(folder: Path, **changes: Any) -> GatewaySettings:
    """Returns the settings of a gateway that keeps its files in `folder`; `changes` are those that differ."""
    defaults = {
        "ledger_url": f"sqlite:///{folder}/ledger.db",
        "object_store_url": f"file://{folder}/objects",
        "amqp_url": NO_BROKER,
        "sync_targets": ("crm",),
    }
    return GatewaySettings(**(defaults | changes))


@asynccontextmanager
async def running(folder: Path, **changes: Any) -> AsyncIterator[Gateway]:
    """Runs a gateway for the time of the block; `changes` as `settings_in` takes them."""
    if "ledger_url" not in changes and not (folder / "ledger.db").exists():
        put_empty_ledger(folder / "ledger.db")
    app = create_app(settings_in(folder, **changes))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        client.event_hooks = {"response": [require_documented]}
        try:
            yield Gateway(app, client, folder)
        finally:
            _forget_routes()


def _forget_routes() -> None:
    """Empties FastAPI's caches, which would keep each route with its application as long as the process."""
    for each in vars(models).values():
        if isinstance(each, _lru_cache_wrapper):
            each.cache_clear()


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Returns the problem document (RFC 9457) of an answer.

    Raises:
        AssertionError: the answer is none, or has another status or code.
    """
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["type"] == f"urn:waybill:problem:{code}"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    assert set(document) <= {"type", "title", "status", "detail", "errors"}
    return document


def fields(answer: httpx.Response) -> set[str]:
    """Returns the fields that an answer with `invalid_request` names."""
    return {error["field"] for error in problem(answer, 422, "invalid_request")["errors"]}
