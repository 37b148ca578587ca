"""Direct connection to the broker, with errors as exit codes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractQueue
from aio_pika.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelNotFoundEntity,
    ProbableAuthenticationError,
)
from aiormq.exceptions import ChannelAccessRefused, ConnectionNotAllowed, InvalidFrameError

from waybill_cli.command_line import CommandError, Exit, Unreachable
from waybill_cli.session import Setting, place

_T = TypeVar("_T")

#: Seconds for the broker to accept a connection, and to answer a call.
CONNECT_SECONDS: Final = 10
ANSWER_SECONDS: Final = 10

#: From RabbitMQ 4.3 on, reading the state of a queue needs a permission on it; users of services have none on
#: the queues of other services.
_WHO_MAY: Final = "use one that may read every queue, such as admin (deploy/secrets/rabbitmq)"
#: Part of the client's error when the broker does not open the virtual host.
_NOT_OPENED: Final = "Connection.OpenOk"
#: Loggers in which the client and its event loop repeat errors that the command gets as exceptions.
_CLIENT_LOGS: Final = ("aiormq", "aio_pika", "asyncio")


@asynccontextmanager
async def connected_broker(url: Setting) -> AsyncIterator[AbstractConnection]:
    """A connection for the block.

    Raises:
        Unreachable: the broker cannot be reached, or is lost within the block.
        CommandError: the broker refuses the login, or an operation in the block.
    """
    where = f"the broker {place(url.value)} (from {url.source})"
    properties: dict[str, Any] = {"connection_name": "waybill (command)"}
    try:
        async with await aio_pika.connect(
            url.value, timeout=CONNECT_SECONDS, client_properties=properties, ssl_context=url.tls
        ) as connection:
            yield connection
    except (AuthenticationError, ProbableAuthenticationError, ConnectionNotAllowed) as error:
        raise CommandError(Exit.REFUSED, f"{where} refuses user, password or virtual host") from error
    except ChannelAccessRefused as error:
        raise CommandError(
            Exit.REFUSED, f"{where} does not allow that to this user ({error}): {_WHO_MAY}"
        ) from error
    except InvalidFrameError as error:
        # The client drops the broker's answer about a virtual host that is not opened.
        if _NOT_OPENED not in str(error):
            raise Unreachable(f"{where} does not speak as a broker does") from error
        raise CommandError(Exit.REFUSED, f"{where} refuses user, password or virtual host") from error
    except TimeoutError as error:
        raise Unreachable(f"{where} does not answer") from error
    # RuntimeError: raised by the client when the connection is lost during a call.
    except (AMQPError, OSError, RuntimeError) as error:
        raise Unreachable(f"{where} cannot be reached: {str(error) or type(error).__name__}") from error


async def find_queue(connection: AbstractConnection, name: str) -> AbstractQueue | None:
    """A queue with its current counts, on a channel of its own; None if it does not exist.

    Closing that channel (`queue.channel`) returns unacknowledged messages to the queue.
    """
    channel = await connection.channel(on_return_raises=True)
    try:
        return await channel.declare_queue(name, passive=True, timeout=ANSWER_SECONDS)
    except ChannelNotFoundEntity:  # the broker has closed the channel
        return None


def run_on_broker(work: Coroutine[Any, Any, _T]) -> _T:
    """Runs `work` against the broker; errors are printed once, by the command and not also by the client."""
    for name in _CLIENT_LOGS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return asyncio.run(work)
