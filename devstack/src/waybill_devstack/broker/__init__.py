"""A private RabbitMQ for one stack or one test run: see `private_broker`."""

from devstack.broker.base import Broker, BrokerError
from devstack.broker.management import Management, QueueState
from devstack.broker.private import private_broker

__all__ = ["Broker", "BrokerError", "Management", "QueueState", "private_broker"]
