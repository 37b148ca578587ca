"""A private RabbitMQ for one stack or one test run: see `private_broker`."""

from waybill_testkit.broker.base import Broker, BrokerError
from waybill_testkit.broker.management import Management, QueueState
from waybill_testkit.broker.private import private_broker

__all__ = ["Broker", "BrokerError", "Management", "QueueState", "private_broker"]
