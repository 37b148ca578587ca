"""Fixtures for tests: `pytest_plugins = ["waybill.testing.plugin"]` in conftest.py."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from waybill.testing.memory_gateway import MemoryGateway

if TYPE_CHECKING:
    from waybill.testing.stack import Stack


@pytest.fixture
def waybill_memory() -> Iterator[MemoryGateway]:
    """A gateway in memory, in the place of every gateway while the test runs; it accepts any kind.

    A fixture of your own checks contracts: `with MemoryGateway(OrderPlaced).installed() as gateway: …`.
    """
    with MemoryGateway().installed() as gateway:
        yield gateway


@pytest.fixture(scope="session")
def waybill_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Stack"]:
    """A stack for all tests of the run; they are skipped where there is no RabbitMQ to be had.

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
