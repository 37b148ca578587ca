"""Mails that name a template of the installation's own."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from waybill_ledger.schema.tables import TASKS
from waybill_testkit.gateway.in_process import Gateway, fields, running
from waybill_worker.runtime.process import MisconfiguredError

MAIL = {"to": "ada@example.com", "template": "invoice", "params": {"total": 12}}
WEEKLY = {"name": "weekly", "kind": "email.requested", "cron": "@weekly"}


@pytest.fixture
async def billing(tmp_path: Path) -> AsyncIterator[Gateway]:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "invoice.params.json").write_text('{"total": "number", "lines": "text?"}')
    async with running(tmp_path, templates_folder=folder) as gateway:
        yield gateway


async def test_it_is_accepted_with_its_parameters(billing: Gateway) -> None:
    answer = await billing.post("/v1/emails", MAIL)
    assert answer.status_code == 202, answer.text
    (task,) = await billing.rows(TASKS)
    assert json.loads(task["payload"])["template"] == "invoice"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"template": "invoce"}, "template"),
        ({"params": {}}, "params.total"),
        ({"params": {"total": "much"}}, "params.total"),
        ({"params": {"total": 1, "totla": 1}}, "params.totla"),
        ({"params": {"total": 1, "lines": "nul\0"}}, "params.lines"),
        ({"template": "welcome"}, "params.name"),
    ],
)
async def test_what_is_wrong_is_named_at_once(billing: Gateway, change: dict[str, Any], field: str) -> None:
    answer = await billing.post("/v1/emails", MAIL | change)
    assert field in fields(answer)
    schedule = WEEKLY | {"body": MAIL | change}
    assert f"body.{field}" in fields(await billing.post("/v1/schedules", schedule))
    assert await billing.count(TASKS) == 0


async def test_it_can_be_scheduled(billing: Gateway) -> None:
    answer = await billing.post("/v1/schedules", WEEKLY | {"body": MAIL})
    assert answer.status_code == 201, answer.text


async def test_a_gateway_that_has_none_names_those_of_waybill(gateway: Gateway) -> None:
    answer = await gateway.post("/v1/emails", MAIL)
    assert answer.json()["errors"] == [
        {"field": "template", "message": "one of: ops_alert, ops_digest, password_reset, welcome"}
    ]


async def test_a_folder_that_is_wrong_keeps_the_gateway_from_starting(tmp_path: Path) -> None:
    (tmp_path / "invoice.params.json").write_text("{")
    with pytest.raises(MisconfiguredError, match=r"invoice\.params\.json, line 1: is not JSON"):
        async with running(tmp_path, templates_folder=tmp_path):
            pass
