"""The fixture `waybill_stack`: `pytest_plugins = ["waybill.testing.plugin"]` in conftest.py."""

from collections.abc import Iterator

import pytest

from waybill.testing.stack import Stack
from waybill_testkit.broker import BrokerError
from waybill_testkit.core import running_core


@pytest.fixture(scope="session")
def waybill_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack for all tests of the run; they are skipped where there is no RabbitMQ to be had.

    RabbitMQ is the one of AMQP_URL, an installed server, one of the system's package manager, or Docker.
    """
    core = running_core(tmp_path_factory.mktemp("waybill"))
    try:
        running = core.__enter__()
    except BrokerError as error:
        pytest.skip(str(error))
    try:
        yield Stack(running)
    finally:
        core.__exit__(None, None, None)
