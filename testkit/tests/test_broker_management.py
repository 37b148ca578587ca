"""What does not need a broker: URLs, and a management API that is away."""

import pytest

from waybill_testkit.broker import BrokerError, Management
from waybill_testkit.broker.given import GivenBroker
from waybill_testkit.machine.ports import free_ports


def test_a_virtual_hosts_url_is_quoted() -> None:
    broker = GivenBroker("amqp://me:pass@example.com:1234/", None)
    assert broker.vhost_url("a/b") == "amqp://me:pass@example.com:1234/a%2Fb"


def test_a_broker_without_management_says_so() -> None:
    with pytest.raises(BrokerError, match="management API"):
        _ = GivenBroker("amqp://localhost/", None).management


def test_a_given_broker_is_neither_killed_nor_restarted() -> None:
    broker = GivenBroker("amqp://localhost/", None)
    with pytest.raises(BrokerError, match="not ours"):
        broker.kill()
    with pytest.raises(BrokerError, match="not ours"):
        broker.restart()


def test_an_api_that_is_away_does_not_answer() -> None:
    management = Management(f"http://127.0.0.1:{free_ports(1)[0]}")
    assert not management.answers()
    management.close()
