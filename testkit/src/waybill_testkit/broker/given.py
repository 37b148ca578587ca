"""A broker that runs already, named by its AMQP URL."""

from urllib.parse import urlsplit

from typing_extensions import override

from waybill_testkit.broker.base import Broker, BrokerError
from waybill_testkit.broker.waiting import AMQP_PORT, why_not_open


class GivenBroker(Broker):
    """A broker that this class never starts, stops or kills."""

    def __init__(
        self, amqp_url: str, management_url: str | None, how: str = "the broker that AMQP_URL names"
    ) -> None:
        super().__init__(amqp_url, management_url, how)

    @override
    def start(self) -> None:
        problem = why_not_open(self.amqp_url)
        if problem is not None:
            url = urlsplit(self.amqp_url)
            raise BrokerError(
                f"AMQP_URL names {url.hostname}:{url.port or AMQP_PORT}, which cannot be used ({problem}): "
                "correct it, start that broker, or unset AMQP_URL to have a private one"
            )

    @override
    def stop(self) -> None:
        """Leaves it running: it is not ours."""

    @override
    def kill(self) -> None:
        raise BrokerError(
            "a broker given by AMQP_URL is not ours to kill: unset AMQP_URL to have a private one"
        )

    @override
    def restart(self) -> None:
        raise BrokerError(
            "a broker given by AMQP_URL is not ours to restart: unset AMQP_URL to have a private one"
        )
