"""The broker and the stack on it, for all tests of this folder, in whatever order they come."""

from collections.abc import Iterator

import pytest

from tests.end_to_end.stack import Stack, up
from waybill_testkit.broker import Broker, private_broker


@pytest.fixture(scope="package")
def stack_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that tests may take away."""
    with private_broker(tmp_path_factory.mktemp("broker"), disposable=True) as broker:
        yield broker


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory, stack_broker: Broker) -> Iterator[Stack]:
    """The stack; each test leaves it without open tasks."""
    with up(tmp_path_factory.mktemp("stack"), amqp_url=stack_broker.amqp_url) as stack:
        yield stack
