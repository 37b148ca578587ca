"""Fixtures for tests, named in the top conftest.py.

pytest_plugins = ["waybill.testing.plugin"]
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from waybill.testing.memory_gateway import MemoryGateway

if TYPE_CHECKING:
    from waybill.testing.stack import Stack


@pytest.fixture
def waybill_memory() -> Iterator[MemoryGateway]:
    """A gateway in memory, in the place of every gateway while the test runs; it accepts any kind.

        def test_an_order_is_placed(waybill_memory: MemoryGateway) -> None:
            place_order("17", "ann@example.com")
            assert [task.kind for task in waybill_memory.tasks] == ["order.placed"]

    A fixture of your own checks contracts: `with MemoryGateway(OrderPlaced).installed() as gateway: …`.
    """
    with MemoryGateway().installed() as gateway:
        yield gateway


@pytest.fixture(scope="session")
def waybill_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Stack"]:
    """A stack for all tests of the run; they are skipped where there is no RabbitMQ to be had.

        async def test_a_task_is_done(waybill_stack: Stack) -> None:
            async with waybill_stack.running(service):
                task = await waybill_stack.submit(InvoiceRequested(order_id="17", email="ann@example.com"))
                assert (await waybill_stack.ended(task))["state"] == "completed"

    RabbitMQ is the one of AMQP_URL, an installed server, one of the system's package manager, or Docker. It
    needs the extra `testing`.
    """
    # Tests of an application need none of it.
    from waybill.testing.stack import Stack  # noqa: PLC0415
    from waybill_testkit.broker import BrokerError  # noqa: PLC0415
    from waybill_testkit.core import running_core  # noqa: PLC0415

    core = running_core(tmp_path_factory.mktemp("waybill"))
    try:
        running = core.__enter__()
    except BrokerError as error:
        pytest.skip(str(error))
    try:
        yield Stack(running)
    finally:
        core.__exit__(None, None, None)
