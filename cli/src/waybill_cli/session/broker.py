"""The broker past all services: a connection of the command's own, and errors as exit codes."""

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

from waybill_cli.session.config import Setting, place
from waybill_cli.session.exits import CommandError, Exit, Unreachable

T = TypeVar("T")

#: Seconds for the broker to take a connection, and to answer a question.
CONNECT_SECONDS: Final = 10
ANSWER_SECONDS: Final = 10


#: From RabbitMQ 4.3 on who looks at a queue needs some right to it; a service has none to those of others.
_WHO_MAY: Final = "name one who may read every queue, such as admin (deploy/secrets/rabbitmq)"
#: In the client's words where it waited for the virtual host.
_NOT_OPENED: Final = "Connection.OpenOk"
#: Where the client, and the event loop for it, write what the command is told by an exception.
_CLIENT_LOGS: Final = ("aiormq", "aio_pika", "asyncio")


@asynccontextmanager
async def connected(url: Setting) -> AsyncIterator[AbstractConnection]:
    """A connection for the block.

    Raises:
        Unreachable: the broker is away, or goes away within the block.
        CommandError: it refuses the login, or what is done in the block.
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
            Exit.REFUSED, f"{where} does not allow that to this user: {error}; {_WHO_MAY}"
        ) from error
    except InvalidFrameError as error:
        # The client keeps nothing of what the broker says to a virtual host that it does not open.
        if _NOT_OPENED not in str(error):
            raise Unreachable(f"{where} does not speak as a broker does") from error
        raise CommandError(Exit.REFUSED, f"{where} refuses user, password or virtual host") from error
    except TimeoutError as error:
        raise Unreachable(f"{where} does not answer") from error
    # RuntimeError: what the client raises when the connection goes away under a call.
    except (AMQPError, OSError, RuntimeError) as error:
        raise Unreachable(f"{where} cannot be reached: {str(error) or type(error).__name__}") from error


async def find_queue(connection: AbstractConnection, name: str) -> AbstractQueue | None:
    """A queue with its numbers as they are now, on a channel of its own; None if there is none.

    Closing that channel (`queue.channel`) gives back whatever was taken from the queue and not acknowledged.
    """
    channel = await connection.channel(on_return_raises=True)
    try:
        return await channel.declare_queue(name, passive=True, timeout=ANSWER_SECONDS)
    except ChannelNotFoundEntity:  # it has closed the channel
        return None


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs what talks to the broker; what goes wrong is told by us, once, and not by the client before."""
    for name in _CLIENT_LOGS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return asyncio.run(work)
