"""Every process stops within its grace time, with exit code 0, whatever its broker or database does."""

import json
import os
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import httpx
import pytest

from tests.end_to_end.stack import POLL_SECONDS
from waybill_contracts.registry import built_in_registry
from waybill_devstack.processes.supervisor import GRACE_SECONDS
from waybill_devstack.stack.plan import Plan, Planned, Ports, make_plan
from waybill_ledger.migrations.migrate import upgrade
from waybill_testkit.broker import private_broker
from waybill_testkit.broker.server import ServerBroker, survives_a_kill
from waybill_testkit.eventually import eventually
from waybill_testkit.machine import ForkedProcess, free_ports
from waybill_testkit.postgres.private import InstalledPostgres
from waybill_worker.broker import topology

PATIENCE = 120.0
STAND_INS = ("mailbox", "crm")


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerBroker]:
    with private_broker(tmp_path_factory.mktemp("stopping"), disposable=True) as broker:
        if not isinstance(broker, ServerBroker):
            pytest.skip("needs a broker that can be frozen: an installed rabbitmq-server")
        yield broker


@dataclass
class Process:
    planned: Planned
    running: ForkedProcess
    log: Path

    def is_ready(self) -> bool:
        try:
            # By HTTP: to read the system's certificates each time takes longer than the question.
            return httpx.get(self.planned.ready_url, timeout=30, trust_env=False, verify=False).is_success
        except httpx.HTTPError:
            return False

    def kept_waiting(self) -> float:
        """Seconds for which its threads could have gone on, and the machine had others go on instead."""
        waits = 0
        for thread in Path(f"/proc/{self.running.pid}/task").glob("*/schedstat"):
            with suppress(OSError):  # it has ended since
                waits += int(thread.read_text().split()[1])
        return waits / 1e9

    def lines(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.log.read_text().splitlines()]


@contextmanager
def started(plan: Plan, folder: Path) -> Iterator[list[Process]]:
    with ExitStack() as ending:
        processes = []
        for planned in plan.processes:
            if planned.name in STAND_INS:
                continue
            log = folder / f"{planned.name}.log"
            _python, _dash_m, module, *arguments = planned.argv
            running = ForkedProcess(module, *arguments, env=os.environ | planned.env, log=log)
            ending.callback(running.wait)
            ending.callback(running.kill)
            processes.append(Process(planned, running, log))
        yield processes


@contextmanager
def down(broker: ServerBroker, _postgres: InstalledPostgres) -> Iterator[None]:
    broker.kill()
    try:
        yield
    finally:
        broker.start()


@contextmanager
def frozen(broker: ServerBroker, _postgres: InstalledPostgres) -> Iterator[None]:
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker.pid, signal.SIGCONT)


@contextmanager
def database_frozen(_broker: ServerBroker, postgres: InstalledPostgres) -> Iterator[None]:
    postgres.freeze()
    try:
        yield
    finally:
        postgres.thaw()


Harm = Callable[[ServerBroker, InstalledPostgres], AbstractContextManager[None]]


@pytest.mark.parametrize(
    ("harm", "in_good_order"),
    [(down, True), (frozen, True), (database_frozen, False)],
)
async def test_all_stop_within_their_grace_time(
    harm: Harm,
    own_broker: ServerBroker,
    own_postgres: InstalledPostgres,
    tmp_path: Path,
    *,
    in_good_order: bool,
) -> None:
    databases: dict[str, str] = defaultdict(own_postgres.new_database)
    plan = make_plan(tmp_path, own_broker.amqp_url, Ports(*free_ports(9)), database=databases.__getitem__)
    upgrade(plan.ledger_url)
    with started(plan, tmp_path) as processes:
        for process in processes:
            await eventually(process.is_ready, PATIENCE, every=POLL_SECONDS)
        queues = [queue.name for queue in topology.queues(built_in_registry())]
        await eventually(lambda: survives_a_kill(own_broker.folder, queues))
        gateway = next(each for each in processes if each.planned.name == "gateway")
        with harm(own_broker, own_postgres):
            if harm is not database_frozen:
                # Each has something to publish, or to wait for.
                post(gateway)
            for process in processes:
                process.running.terminate()
            took = await ended(processes)
        assert {each.planned.name: each.running.returncode for each in processes} == dict.fromkeys(took, 0)
        assert max(took.values()) < GRACE_SECONDS, took
        if in_good_order:
            assert {each.lines()[-1] for each in processes} == {"stopped"}


def post(gateway: Process) -> None:
    url = gateway.planned.ready_url.replace("/readyz", "/v1/emails")
    for number in range(5):
        mail = {"to": f"ann{number}@example.com", "subject": "Hello", "text": "Going?"}
        assert httpx.post(url, json=mail, timeout=30, trust_env=False).status_code == 202


async def ended(processes: list[Process]) -> dict[str, float]:
    """How long each took to end, but for the time that a busy machine kept it waiting."""
    began = monotonic()
    before = [process.kept_waiting() for process in processes]
    waited: dict[str, float] = {}
    took: dict[str, float] = {}

    def all_have() -> bool:
        for process, earlier in zip(processes, before, strict=True):
            name = process.planned.name
            if process.running.poll() is None:
                waited[name] = max(waited.get(name, 0.0), process.kept_waiting() - earlier)
            else:
                took.setdefault(name, monotonic() - began - waited.get(name, 0.0))
        return len(took) == len(processes)

    await eventually(all_have, PATIENCE)
    return took
