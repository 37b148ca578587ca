"""The fixture `waybill_stack`, as the tests of an author use it."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from invoice_service import InvoiceRequested, remind, service

from waybill.testing import Stack
from waybill.testing.plugin import waybill_stack
from waybill_cli.main import run
from waybill_testkit.broker import Broker

__all__ = ["waybill_stack"]

REQUESTED = InvoiceRequested(order_id="17", email="ann@example.com", currency="CHF")


@pytest.fixture(scope="session", autouse=True)
def broker_of_the_run(broker: Broker) -> Iterator[None]:
    """Each stack is to take the broker that the author names."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AMQP_URL", broker.amqp_url)
        if broker.management_url is not None:
            environment.setenv("AMQP_MANAGEMENT_URL", broker.management_url)
        yield


async def test_a_service_of_an_author_does_tasks_of_the_gateway(waybill_stack: Stack) -> None:
    async with waybill_stack.running(service, shop_name="the corner shop"):
        tasks = [
            await waybill_stack.submit(REQUESTED),
            await waybill_stack.submit(remind.event("a@b.example")),
        ]
        done = [await waybill_stack.ended(task) for task in tasks]

    assert [task["state"] for task in done] == ["completed", "completed"]
    assert [task["kind"] for task in done] == ["invoice.requested", "invoices.remind"]


async def test_a_failure_is_seen(waybill_stack: Stack) -> None:
    async with waybill_stack.running(service):
        task = await waybill_stack.submit(REQUESTED.model_copy(update={"order_id": "unknown"}))
        ended = await waybill_stack.ended(task)

    assert ended["state"] == "failed"


async def test_what_the_contract_does_not_allow_is_refused(waybill_stack: Stack) -> None:
    await waybill_stack.register(service)
    with pytest.raises(RuntimeError, match="order_id"):
        await waybill_stack.submit(REQUESTED.model_copy(update={"order_id": "x" * 50}))


async def test_the_project_of_a_new_service_passes_all_its_tests(tmp_path: Path) -> None:
    assert run(["new", "service", "labels", "--in", str(tmp_path)]) == 0
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    pytest_run = await asyncio.create_subprocess_exec(
        *command, cwd=tmp_path / "labels", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await pytest_run.communicate()

    assert pytest_run.returncode == 0, output.decode()
    assert b"3 passed" in output, output.decode()
