"""A private RabbitMQ for one stack or one test run: see `private_broker`."""

from waybill_testkit.broker.base import Broker, BrokerError
from waybill_testkit.broker.given import GivenBroker
from waybill_testkit.broker.installation import install_server, privilege
from waybill_testkit.broker.management import Management, QueueState
from waybill_testkit.broker.private import private_broker
from waybill_testkit.broker.server import ServerBroker
from waybill_testkit.broker.waiting import AMQP_PORT

__all__ = [
    "AMQP_PORT",
    "Broker",
    "BrokerError",
    "GivenBroker",
    "Management",
    "QueueState",
    "ServerBroker",
    "install_server",
    "private_broker",
    "privilege",
]
