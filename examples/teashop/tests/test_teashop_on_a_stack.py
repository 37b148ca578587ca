"""Each application on a real broker and a real ledger; skipped where there is no RabbitMQ to be had."""

import asyncio

import pytest
from django.test import Client as Browser
from fastapi.testclient import TestClient
from waybill.django import worker
from waybill.testing import Stack

from teashop import close
from teashop.tasks import service
from teashop.web import app


@pytest.fixture(autouse=True)
def gateway(waybill_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYBILL_URL", waybill_stack.url)


async def test_the_web_application_adds_a_task(waybill_stack: Stack) -> None:
    async with waybill_stack.running(service):
        with TestClient(app) as browser:
            post = browser.post
            answer = await asyncio.to_thread(
                post, "/orders/17", params={"email": "ann@example.com"}
            )
            (task,) = (await waybill_stack.get("/v1/tasks?kind=teashop.confirm"))["items"]
            done = await waybill_stack.ended(task["id"])
            state = await asyncio.to_thread(browser.get, f"/confirmations/{task['id']}")

    assert (answer.json(), done["state"], state.json()) == (
        {"order": "17"},
        "completed",
        {"state": "completed"},
    )
    mail = await waybill_stack.get(f"/v1/tasks/{done['subtasks'][0]['result']['mail']}")
    assert mail["kind"] == "email.requested"


async def test_the_script_waits_for_its_tasks(
    waybill_stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    async with waybill_stack.running(service):
        assert await asyncio.to_thread(close.main, ["2026-01", "2026-02"]) == 0

    assert "2026-02 completed {'closed': '2026-02'}" in capsys.readouterr().out


async def test_the_site_enqueues_a_task(waybill_stack: Stack) -> None:
    browser = Browser()
    async with waybill_stack.running(getattr(worker, "teashop-site")):
        placed = await asyncio.to_thread(browser.post, "/orders/17")
        await waybill_stack.ended(placed.json()["task"])
        told = await asyncio.to_thread(browser.get, f"/tasks/{placed.json()['task']}")

    assert told.json() == {"status": "SUCCESSFUL", "value": {"order": "17", "discount": 5}}
