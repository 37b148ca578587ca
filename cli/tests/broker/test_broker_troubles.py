"""A broker that is away, refuses, or hangs up: the command says so in one line, the client nothing."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import SplitResult, urlsplit

import pytest
from command_under_test import Ran, ran_apart

from waybill_testkit.broker import Broker

AWAY = "amqp://guest:guest@127.0.0.1:1/"
#: Of the client, before it is hung up on: within the handshake, within its first questions, and later.
CUT_AFTER_BYTES = [5, 300, 480, 700]
COMMANDS = [
    ("queues", "--amqp", "URL", "--service", "email"),
    ("dlq", "--direct", "URL", "ls", "--service", "email"),
    ("dlq", "--direct", "URL", "redrive", "--yes", "--service", "email"),
    ("contracts", "check", "--against", "URL", "--service", "email"),
]


def one_line(done: Ran, code: int) -> str:
    """What was said of the trouble: one line of ours, and no other."""
    assert done.code == code, done.err
    [line] = done.err.splitlines()
    assert line.startswith("waybill: the broker amqp://"), line
    return line


async def ran(command: tuple[str, ...], url: str) -> Ran:
    return await ran_apart(*(url if word == "URL" else word for word in command))


def with_user(url: str, user: str, password: str) -> SplitResult:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{user}:{password}@{parts.hostname}:{parts.port}")


@pytest.fixture
def nobody(broker: Broker, vhost: str) -> Iterator[str]:
    """The URL of a user who may log in, and nothing else."""
    name, password = f"nobody-{secrets.token_hex(4)}", secrets.token_hex(8)
    nothing = {"configure": "^$", "write": "^$", "read": "^$"}
    broker.management.import_definitions(
        {
            "users": [{"name": name, "password": password, "tags": ""}],
            "permissions": [{"user": name, "vhost": vhost, **nothing}],
        }
    )
    yield with_user(broker.vhost_url(vhost), name, password).geturl()
    broker.management.delete_user(name)


@asynccontextmanager
async def hanging_up(broker_url: str, after: int) -> AsyncIterator[str]:
    """The URL of the broker behind something that hangs up once the client has sent so many bytes."""
    broker = urlsplit(broker_url)

    async def serve(from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        from_broker, to_broker = await asyncio.open_connection(broker.hostname, broker.port)

        async def answer() -> None:
            while chunk := await from_broker.read(4096):
                to_client.write(chunk)

        answering, left = asyncio.create_task(answer()), after
        while left > 0 and (chunk := await from_client.read(left)):
            to_broker.write(chunk)
            left -= len(chunk)
        answering.cancel()
        to_broker.transport.abort()
        to_client.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        name = f"{broker.username}:{broker.password}" if broker.username else "guest:guest"
        yield broker._replace(netloc=f"{name}@127.0.0.1:{port}").geturl()


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_broker_that_is_away_is_told_in_one_line(command: tuple[str, ...]) -> None:
    assert "cannot be reached" in one_line(await ran(command, AWAY), 3)


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_refusal_is_told_in_one_line(command: tuple[str, ...], broker: Broker) -> None:
    wrong = with_user(broker.amqp_url, "guest", "wrong").geturl()
    assert "refuses user, password or virtual host" in one_line(await ran(command, wrong), 4)


async def test_so_is_a_virtual_host_that_is_not_there(broker: Broker) -> None:
    # By all commands alike: they connect by one function.
    nowhere = broker.vhost_url("no-such-host")
    assert "refuses user, password or virtual host" in one_line(await ran(COMMANDS[0], nowhere), 4)


@pytest.mark.usefixtures("topology_url")
async def test_what_a_user_may_not_do_is_told_in_one_line(nobody: str) -> None:
    # What all the others do some releases of RabbitMQ let everybody do, as long as nothing waits.
    line = one_line(await ran(COMMANDS[1], nobody), 4)
    assert "does not allow that to this user" in line
    assert "use one that may read every queue" in line


@pytest.mark.parametrize("after", CUT_AFTER_BYTES)
async def test_a_broker_that_hangs_up_is_told_in_one_line(topology_url: str, after: int) -> None:
    async with hanging_up(topology_url, after) as url:
        one_line(await ran(COMMANDS[0], url), 3)
