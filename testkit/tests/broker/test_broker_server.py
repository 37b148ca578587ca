"""The private broker from the installed package, for real; what takes it down comes last in each test."""

import asyncio
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import aiormq
import pytest
from aiormq.abc import DeliveredMessage

from waybill_testkit.broker import Broker, BrokerError, private_broker
from waybill_testkit.broker.installation import find_server
from waybill_testkit.broker.server import ServerBroker
from waybill_testkit.broker.waiting import why_not_open
from waybill_testkit.machine.lifeline import die_with_parent

PROGRAM = find_server(os.environ.get("PATH", os.defpath))
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no rabbitmq-server is installed")
QUORUM = {"x-queue-type": "quorum"}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with private_broker(tmp_path_factory.mktemp("broker"), disposable=True) as broker:
        yield broker


@pytest.fixture
def vhost(broker: Broker) -> Iterator[str]:
    with broker.vhost() as name:
        yield name


def eventually(holds: Callable[[], bool], limit: float = 30) -> None:
    deadline = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < deadline, "still not so"
        time.sleep(0.05)


async def publish(url: str, count: int) -> None:
    connection = await aiormq.connect(url)
    channel = await connection.channel()
    await channel.queue_declare("q", durable=True, arguments=dict(QUORUM))
    for _ in range(count):
        properties = aiormq.spec.Basic.Properties(delivery_mode=2)
        await channel.basic_publish(b"x", routing_key="q", properties=properties)
    await connection.close()


async def test_tells_a_queues_messages_and_consumers(broker: Broker, vhost: str) -> None:
    url = broker.vhost_url(vhost)
    await publish(url, 3)
    connection = await aiormq.connect(url)
    channel = await connection.channel()
    await channel.basic_qos(prefetch_count=1)
    delivered = asyncio.Event()

    async def keep(message: DeliveredMessage) -> None:
        assert message.body == b"x"
        delivered.set()

    await channel.basic_consume("q", keep)
    await delivered.wait()

    def as_expected() -> bool:
        state = broker.management.queue("q", vhost)
        return (state.ready, state.unacked, state.consumers) == (2, 1, 1)

    await asyncio.to_thread(eventually, as_expected)
    await connection.close()
    with pytest.raises(KeyError, match="no queue other"):
        broker.management.queue("other", vhost)


async def test_closes_every_connection(broker: Broker, vhost: str) -> None:
    connection = await aiormq.connect(broker.vhost_url(vhost))
    await asyncio.to_thread(broker.management.close_connections)
    await asyncio.to_thread(eventually, lambda: connection.is_closed)


async def test_closes_the_connections_of_one_virtual_host(broker: Broker, vhost: str) -> None:
    other = await aiormq.connect(broker.amqp_url)
    connection = await aiormq.connect(broker.vhost_url(vhost))
    close = functools.partial(broker.management.close_vhost_connections, vhost)
    await asyncio.to_thread(eventually, lambda: close() == 1)
    await asyncio.to_thread(eventually, lambda: connection.is_closed)
    assert not other.is_closed
    await other.close()


def test_listens_on_loopback_only(broker: Broker) -> None:
    assert isinstance(broker, ServerBroker)
    ports = subprocess.run(["ss", "-ltnp"], capture_output=True, text=True, check=True).stdout
    addresses = [line.split()[3] for line in ports.splitlines() if f"pid={broker.pid}," in line]
    assert len(addresses) == 3
    assert all(address.startswith("127.0.0.1:") for address in addresses)


def test_a_crash_and_a_restart_keep_confirmed_messages_and_ports(broker: Broker, vhost: str) -> None:
    assert isinstance(broker, ServerBroker)
    url = broker.vhost_url(vhost)
    asyncio.run(publish(url, 0))
    (names,) = broker.folder.glob("data/*/quorum/*/names.dets")
    eventually(lambda: f"{vhost}_q".encode() in names.read_bytes())  # see Broker.kill
    asyncio.run(publish(url, 5))
    broker.kill()
    assert why_not_open(url) is not None
    broker.restart()
    eventually(lambda: broker.management.queue("q", vhost).ready == 5)
    broker.restart()
    eventually(lambda: broker.management.queue("q", vhost).ready == 5)


def test_a_server_that_does_not_start_shows_its_log(tmp_path: Path) -> None:
    program = tmp_path / "rabbitmq-server"
    program.write_text("#!/bin/sh\necho BOOT FAILED for a reason\nexit 3\n")
    program.chmod(0o755)
    broker = ServerBroker(program, tmp_path / "state")
    with pytest.raises(BrokerError, match=r"(?s)ended with 3.*BOOT FAILED for a reason"):
        broker.start()
    assert broker.pid is None


@pytest.mark.skipif(die_with_parent() is None, reason="the kernel kills orphans on Linux only")
def test_the_server_dies_with_a_killed_owner(tmp_path: Path) -> None:
    script = (
        "import time; from pathlib import Path; from waybill_testkit.broker import ServerBroker\n"
        f"broker = ServerBroker(Path({str(PROGRAM)!r}), Path({str(tmp_path)!r}))\n"
        "broker.launch(); print(broker.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        server = int(owner.stdout.readline())
        # The start script has become the server; whether that is up already is all the same.
        eventually(lambda: Path(f"/proc/{server}/comm").read_text().strip() == "beam.smp")
        owner.send_signal(signal.SIGKILL)

    def gone() -> bool:
        try:
            return Path(f"/proc/{server}/stat").read_text().rsplit(")")[1].split()[0] == "Z"
        except FileNotFoundError:
            return True

    eventually(gone)
