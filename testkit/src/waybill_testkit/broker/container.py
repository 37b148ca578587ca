"""A broker from Docker, through testcontainers."""

import os
from typing import Any

from docker.errors import DockerException  # type: ignore[import-untyped] # docker ships no types
from testcontainers.core.container import DockerContainer
from typing_extensions import override

from waybill_testkit.broker.base import Broker, BrokerError
from waybill_testkit.broker.server import ERL_ARGS, TAIL_LINES
from waybill_testkit.broker.waiting import wait_until_open
from waybill_testkit.machine import LOOPBACK, free_ports

#: Environment variable with another image; it must have the management plugin enabled.
IMAGE_SETTING = "WAYBILL_RABBITMQ_IMAGE"
#: The newest 4.x, as compose.yaml has it.
IMAGE = "rabbitmq:4-management"
#: testcontainers starts a second container that cleans up after a crash of ours.
WITHOUT_RYUK = "(If only testcontainers/ryuk is missing: set TESTCONTAINERS_RYUK_DISABLED=true.)"
#: Seconds until Docker kills it.
STOP_SECONDS = 10
#: Inside the container: RabbitMQ's defaults.
AMQP_PORT, MANAGEMENT_PORT = 5672, 15672


class ContainerBroker(Broker):
    """A container that is removed, with its data, when this object is closed.

    The ports are fixed, not Docker's choice, because Docker would choose anew at a restart. testcontainers'
    RabbitMQ class is not used: it needs a second AMQP client (pika) only to wait, and exposes no management
    port.

    Raises:
        BrokerError: by `start`: the image cannot be had or the container does not come up.
    """

    def __init__(self) -> None:
        amqp_port, management_port = free_ports(2)
        self._image = os.environ.get(IMAGE_SETTING) or IMAGE
        super().__init__(
            f"amqp://guest:guest@{LOOPBACK}:{amqp_port}/",
            f"http://{LOOPBACK}:{management_port}",
            f"Docker, {self._image}",
        )
        self._ports = {
            str(AMQP_PORT): (LOOPBACK, amqp_port),
            str(MANAGEMENT_PORT): (LOOPBACK, management_port),
        }
        self._container: DockerContainer | None = None

    @override
    def start(self) -> None:
        try:
            if self._container is None:
                self._container = self._describe()
                self._container.start()
            else:
                self._container.get_wrapped_container().start()
            wait_until_open(self.amqp_url, self.management, self._ended, self._log_tail)
        except DockerException as error:
            self.close()
            raise BrokerError(f"Docker cannot run {self._image}: {error}\n{WITHOUT_RYUK}") from error
        except BaseException:  # an interrupt too must leave no container behind
            self.close()
            raise

    @override
    def stop(self) -> None:
        self._close_management()
        if self._container is not None:
            self._container.get_wrapped_container().stop(timeout=STOP_SECONDS)

    @override
    def kill(self) -> None:
        if self._container is not None:
            self._container.get_wrapped_container().kill()

    @override
    def close(self) -> None:
        self._close_management()
        container, self._container = self._container, None
        if container is not None:
            container.stop()  # in testcontainers this kills and removes the container

    def _describe(self) -> DockerContainer:
        container = DockerContainer(self._image).with_env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", ERL_ARGS)
        # Past with_bind_ports, which knows no addresses: the default user must not be reachable from outside.
        ports: dict[str, Any] = container.ports
        ports |= self._ports
        # The host name is part of the node's name, by which it finds its data again.
        return container.with_kwargs(hostname="waybill")

    def _ended(self) -> str | None:
        if self._container is None:
            return "no container"
        wrapped = self._container.get_wrapped_container()
        wrapped.reload()
        return None if wrapped.status == "running" else f"the container is {wrapped.status}"

    def _log_tail(self) -> str:
        if self._container is None:
            return ""
        log = self._container.get_wrapped_container().logs(tail=TAIL_LINES)
        return log.decode(errors="replace") if isinstance(log, bytes) else ""
