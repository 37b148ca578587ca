"""Base class of all brokers."""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, unquote, urlsplit

from waybill_testkit.broker.management import Management


class BrokerError(Exception):
    """There is no broker, or it failed; `str()` says what to do."""


class Broker(ABC):
    """A running RabbitMQ.

    Attributes:
        amqp_url: of its default virtual host, with user and password.
        management_url: of its management API, or None where it has none.
        how: its origin, as text for the user.
    """

    def __init__(self, amqp_url: str, management_url: str | None, how: str) -> None:
        self.amqp_url = amqp_url
        self.management_url = management_url
        self.how = how
        self._management: Management | None = None

    @abstractmethod
    def start(self) -> None:
        """Start it and return when it takes AMQP connections.

        Raises:
            BrokerError: it ended, or does not answer within the time limit.
        """

    @property
    def has_ended(self) -> bool:
        """Whether it was started and has ended by itself; False also if that is unknown."""
        return False

    def launch(self) -> None:
        """Start it again after it has ended by itself, on the same data and ports; returns at once.

        Called in the main thread: see `private_broker`.

        Raises:
            BrokerError: it is not ours to start.
        """
        raise BrokerError(f"{self.how} is not started from here")

    @abstractmethod
    def stop(self) -> None:
        """Stop it in order. Stopping a broker that does not run is no error."""

    @abstractmethod
    def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL); its data stays.

        One exception: RabbitMQ writes which quorum queues there are with up to 3 s delay (Ra's
        names.dets, seen on 3.10.8). A queue declared just before comes back empty or without a leader,
        whatever was confirmed. Crash tests declare their queues, and wait, before they begin.
        """

    def restart(self) -> None:
        """Stop it, if it runs, and start it on the same data and the same ports."""
        self.stop()
        self.start()

    @property
    def management(self) -> Management:
        """The client of its management API.

        Raises:
            BrokerError: this broker has none.
        """
        if self.management_url is None:
            raise BrokerError("this needs RabbitMQ's management API: give its address next to AMQP_URL")
        if self._management is None:
            url = urlsplit(self.amqp_url)
            user, password = unquote(url.username or "guest"), unquote(url.password or "guest")
            self._management = Management(self.management_url, user, password)
        return self._management

    def vhost_url(self, name: str) -> str:
        """The AMQP URL of the virtual host `name`."""
        return urlsplit(self.amqp_url)._replace(path="/" + quote(name, safe="")).geturl()

    @contextmanager
    def vhost(self) -> Iterator[str]:
        """A virtual host for one test: yields its name and deletes it afterwards."""
        name = f"test-{secrets.token_hex(6)}"
        self.management.create_vhost(name)
        try:
            yield name
        finally:
            self.management.delete_vhost(name)

    def discard(self) -> None:
        """End it in the quickest way: its data is of no use any more. A broker that is not ours stays."""
        self.stop()

    def close(self) -> None:
        """Stop it for good and release all resources."""
        self.stop()
        self._close_management()

    def _close_management(self) -> None:
        """Close the management client: a broker that stops waits for its kept-alive connections."""
        if self._management is not None:
            self._management.close()
            self._management = None
