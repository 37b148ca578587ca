"""The real parts that tests share, as pytest fixtures: a broker, a PostgreSQL, what is fresh for each test.

Each process of a test run (each worker of pytest-xdist) has a broker and a PostgreSQL of its own, started by
the first test that wants it.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import pytest
from sqlalchemy import Engine

from waybill_database import Records, open_engine
from waybill_ledger.schema.migrate import upgrade
from waybill_testkit.broker import Broker, private_broker
from waybill_testkit.broker.waiting import AMQP_PORT
from waybill_testkit.bucket import Bucket
from waybill_testkit.certificates import Certificates
from waybill_testkit.empty_ledger import empty_ledger
from waybill_testkit.machine.container_setting import in_containers
from waybill_testkit.machine.one_at_a_time import one_at_a_time
from waybill_testkit.machine.ports import LOOPBACK, free_ports
from waybill_testkit.postgres.private import (
    InstalledPostgres,
    Postgres,
    PostgresError,
    private_postgres,
    restartable_postgres,
)
from waybill_testkit.proxy import Proxy, proxied
from waybill_testkit.wire import Wire
from waybill_worker.broker import topology

#: For what a test's closed connections leave running: moments, unless the machine is busy.
LEFT_SECONDS = 20
#: Which brokers and databases were used, told at the end of the run.
_USED = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates of an authority that only this test run trusts."""
    return Certificates.made(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def amqps_port() -> int:
    """Where the private RabbitMQ speaks TLS, and wants its clients' certificates too."""
    (port,) = free_ports(1)
    return port


@pytest.fixture(scope="session")
def broker(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    certificates: Certificates,
    amqps_port: int,
) -> Iterator[Broker]:
    """A private RabbitMQ, or the one that AMQP_URL (and AMQP_MANAGEMENT_URL) names."""
    folder: Path = tmp_path_factory.mktemp("broker")
    with ExitStack() as stack:
        with one_at_a_time("starting"):
            running = stack.enter_context(
                private_broker(
                    folder,
                    amqp_url=os.environ.get("AMQP_URL"),
                    management_url=os.environ.get("AMQP_MANAGEMENT_URL"),
                    in_container=in_containers(),
                    settings=_tls_listener(certificates, amqps_port),
                )
            )
        _tell(request.config, f"RabbitMQ: {running.how}")
        yield running


def _tls_listener(certificates: Certificates, port: int) -> str:
    return (
        f"listeners.ssl.1 = {LOOPBACK}:{port}\n"
        f"ssl_options.cacertfile = {certificates.ca}\n"
        f"ssl_options.certfile = {certificates.server}\n"
        f"ssl_options.keyfile = {certificates.server}\n"
        "ssl_options.verify = verify_peer\n"
        "ssl_options.fail_if_no_peer_cert = true\n"
    )


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
        await topology.declare(channel)
    yield vhost_url
    await _nothing_runs_on()


async def _nothing_runs_on() -> None:
    """Waits for tasks of the loop that nobody else waits for.

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
def postgres(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """A private PostgreSQL; tests that want it are skipped where there is none to be had."""
    with ExitStack() as stack:
        try:
            with one_at_a_time("starting"):
                server = stack.enter_context(private_postgres(in_container=in_containers()))
        except PostgresError as error:
            if in_containers():
                raise
            pytest.skip(str(error))
        _tell(request.config, f"PostgreSQL: {server.how}")
        yield server


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
def ledger_template(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty ledger in PostgreSQL, to be copied too: see `empty_ledger`."""
    with postgres.database() as url:
        upgrade(url)
        yield url


@pytest.fixture
def ledger_url(database_system: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh, empty ledger; the test runs once with SQLite and once with PostgreSQL."""
    if database_system == "sqlite":
        file = tmp_path / "records.db"
        file.write_bytes(empty_ledger())
        yield f"sqlite:///{file}"
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
    """Makes room for what was used."""
    config.stash[_USED] = []


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist hands over what it used."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["waybill"] = session.config.stash[_USED]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """The controller of pytest-xdist gathers what its workers used."""
    for line in getattr(node, "workeroutput", {}).get("waybill", ()):
        _tell(node.config, line)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Prints which broker and database the run used."""
    for line in config.stash[_USED]:
        terminalreporter.write_line(f"used {line}")


def _tell(config: pytest.Config, line: str) -> None:
    if line not in config.stash[_USED]:
        config.stash[_USED].append(line)
