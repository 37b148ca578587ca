"""The real parts that tests share, as pytest fixtures: a broker, a PostgreSQL, what is fresh for each test.

All workers of a test run (see pytest-xdist) share one broker and one PostgreSQL, which the first test that
asks for it starts: see `SharedServers`.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xmlrpc.client import Fault, ServerProxy

import aio_pika
import pytest
from sqlalchemy import Engine

from waybill_contracts.registry import built_in_registry
from waybill_database import Records, open_engine
from waybill_testkit.broker import AMQP_PORT, Broker, GivenBroker
from waybill_testkit.bucket import Bucket
from waybill_testkit.certificates import Certificates
from waybill_testkit.empty_ledger import put_empty_ledger
from waybill_testkit.machine import in_containers
from waybill_testkit.postgres import (
    InstalledPostgres,
    Postgres,
    PostgresError,
    restartable_postgres,
)
from waybill_testkit.proxy import Proxy, proxied
from waybill_testkit.shared_servers import Description, SharedServers
from waybill_testkit.wire import Wire
from waybill_worker.broker import topology

#: Time limit for tasks that closed connections leave running: moments, unless the machine is busy.
LEFT_SECONDS = 20
#: Environment variable with the URL of the run's servers; workers of pytest-xdist inherit it.
_URL = "WAYBILL_TEST_SERVERS"
#: In the process that has them.
_SERVERS = pytest.StashKey[SharedServers]()


@pytest.fixture(scope="session")
def shared_servers() -> Iterator[ServerProxy]:
    """The servers of the test run: see `SharedServers`."""
    with ServerProxy(os.environ[_URL], allow_none=True) as servers:
        yield servers


@pytest.fixture(scope="session")
def certificates(shared_servers: ServerProxy) -> Certificates:
    """Certificates of an authority that only this test run trusts."""
    return Certificates(Path(_description(shared_servers.certificates())["folder"]))


@pytest.fixture(scope="session")
def amqps_port(shared_servers: ServerProxy) -> int | None:
    """Port on which RabbitMQ accepts TLS, from clients with certificates; None if it is not our process."""
    port: int | None = _description(shared_servers.broker())["amqps_port"]
    return port


@pytest.fixture(scope="session")
def broker(shared_servers: ServerProxy) -> Iterator[Broker]:
    """A RabbitMQ for all tests of the run: a private one, or what AMQP_URL and AMQP_MANAGEMENT_URL name.

    Tests take a virtual host each. One that stops the broker, or changes what all virtual hosts have in
    common, starts a `private_broker` of its own.
    """
    running = _description(shared_servers.broker())
    broker = GivenBroker(running["amqp_url"], running["management_url"], running["how"])
    yield broker
    broker.close()


@pytest.fixture
def vhost(broker: Broker) -> Iterator[str]:
    """The name of a fresh, empty virtual host, deleted after the test."""
    with broker.vhost() as name:
        yield name


@pytest.fixture
def vhost_url(broker: Broker, vhost: str) -> str:
    """The AMQP URL of a fresh, empty virtual host."""
    return broker.vhost_url(vhost)


@pytest.fixture
async def topology_url(vhost_url: str) -> AsyncIterator[str]:
    """The AMQP URL of a fresh virtual host in which the whole topology is declared."""
    async with await aio_pika.connect(vhost_url) as connection, connection.channel() as channel:
        await topology.declare(channel, built_in_registry())
    yield vhost_url
    await _nothing_runs_on()


async def _nothing_runs_on() -> None:
    """Waits for tasks of the loop that no other code waits for.

    A connection that is closed leaves some (aio-pika's close callbacks, aiormq's end of its writer). One that
    the loop's end overtakes is found by the garbage collector, in another test, which fails for it.
    """
    running = asyncio.all_tasks() - {asyncio.current_task()}
    if running:
        _, late = await asyncio.wait(running, timeout=LEFT_SECONDS)
        if late:
            pytest.fail(f"tasks that run on after their test: {late}")


@pytest.fixture
async def wire(topology_url: str) -> AsyncIterator[Wire]:
    """The test's own connection to the virtual host of `topology_url`."""
    async with await aio_pika.connect(topology_url) as connection:
        # Every test puts and takes what it is about; messages that no queue wants fail it.
        yield Wire(await connection.channel(on_return_raises=True))


@pytest.fixture
async def proxy(topology_url: str) -> AsyncIterator[Proxy]:
    """A way to the virtual host of `topology_url` that the test can cut and stall."""
    address = urlsplit(topology_url)
    async with proxied(address.hostname or "", address.port or AMQP_PORT) as running:
        yield running


@pytest.fixture(scope="session")
def postgres(shared_servers: ServerProxy) -> Iterator[Postgres]:
    """A PostgreSQL for all tests of the run; tests that want it are skipped where there is none to be had."""
    try:
        server = Postgres(**_description(shared_servers.postgres()))
    except Fault as error:
        if in_containers() or PostgresError.__name__ not in error.faultString:
            raise
        pytest.skip(error.faultString)
    yield server
    server.close()


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[InstalledPostgres]:
    """A PostgreSQL that the tests of one module may stop and start again."""
    try:
        with restartable_postgres() as server:
            yield server
    except PostgresError as error:
        pytest.skip(str(error))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_system(request: pytest.FixtureRequest) -> str:
    """Which database the test is run with: once with SQLite and once with PostgreSQL."""
    system: str = request.param
    return system


@pytest.fixture
def database_url(database_system: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh database; the test runs once with SQLite and once with PostgreSQL."""
    if database_system == "sqlite":
        yield f"sqlite:///{tmp_path / 'records.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.database() as url:
        yield url


@pytest.fixture(scope="session")
def ledger_template(shared_servers: ServerProxy) -> str:
    """The URL of an empty ledger in PostgreSQL, to be copied: see `empty_ledger`."""
    url: str = _description(shared_servers.ledger_template())["url"]
    return url


@pytest.fixture
def ledger_url(database_system: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh, empty ledger; the test runs once with SQLite and once with PostgreSQL."""
    if database_system == "sqlite":
        yield put_empty_ledger(tmp_path / "records.db")
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.database(copied_from=request.getfixturevalue("ledger_template")) as url:
        yield url


@pytest.fixture
def engine(ledger_url: str) -> Iterator[Engine]:
    """A way to the ledger of `ledger_url`, with as many connections as a test wants at once."""
    engine = open_engine(ledger_url, connections=4)
    yield engine
    engine.dispose()


@pytest.fixture
async def records(ledger_url: str) -> AsyncIterator[Records]:
    """The ledger of `ledger_url`, as processes open it."""
    records = Records(ledger_url)
    yield records
    await records.close()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of a server that speaks S3, in this process; any credentials do."""
    # Only here: importing it takes a second, and few tests want it.
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - as said

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_endpoint: str) -> Bucket:
    """A fresh, empty bucket."""
    return Bucket.made(s3_endpoint)


def pytest_configure(config: pytest.Config) -> None:
    """Make the run's servers ready to be asked for, unless this process is a worker of pytest-xdist."""
    if not hasattr(config, "workerinput"):
        servers = config.stash[_SERVERS] = SharedServers().start()
        os.environ[_URL] = servers.url


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say which broker and database the run was made with."""
    for line in config.stash[_SERVERS].used:
        terminalreporter.write_line(f"used {line}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the run's servers."""
    if _SERVERS in config.stash:
        config.stash[_SERVERS].close()


def _description(answer: Any) -> Description:
    """The answer of a call by XML-RPC, which has no types."""
    description: Description = answer
    return description
