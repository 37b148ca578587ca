"""The processes that the matrix is run against: the local stack's, each behind a gate."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, fields
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx

from tests.crash.gates.gate import Gate
from tests.crash.gates.launcher import Order
from tests.crash.ledger_file import LedgerFile, query_file
from tests.crash.outbox.names import RELAY, SECOND_RELAY, SHOP
from tests.crash.team.names import AUDITORS, OWNER
from waybill_devstack.stack.plan import Plan, Planned, Ports, make_plan, url
from waybill_testkit.broker import Broker
from waybill_testkit.empty_ledger import put_empty_ledger
from waybill_testkit.machine.lifeline import die_with_parent
from waybill_testkit.machine.ports import free_ports

#: Time limit of every wait, in seconds: for a busy machine.
PATIENCE = 300.0
#: Seconds between two checks.
POLL_SECONDS = 0.05
#: The services of the team.
_TEAM = (OWNER, AUDITORS)
#: An application with an outbox.
_APPLICATION = (SHOP, RELAY, SECOND_RELAY)
#: What only some cells need is started in these.
_OF_CELLS = {AUDITORS, *_APPLICATION}
#: `tests` is found from here.
ROOT = Path(__file__).parents[2]


class NotInTimeError(Exception):
    """Something did not happen within its time; `str()` says what."""


def until(look: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """What `look` gives, once it gives anything.

    Raises:
        NotInTimeError: it did not within `seconds`.
    """
    deadline = monotonic() + seconds
    while not (seen := look()):
        if monotonic() > deadline:
            raise NotInTimeError(f"waited {seconds:g} s in vain for {what}")
        sleep(POLL_SECONDS)
    return seen


class Launcher:
    """The process that starts all others."""

    def __init__(self, log: Path) -> None:
        with log.open("ab") as errors:
            self._running = subprocess.Popen(
                [sys.executable, "-m", "tests.crash.gates.launcher"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - it only calls prctl
            )
        self._log = log

    def start(self, order: Order) -> int:
        """Starts a process; its id, which is also its group's."""
        orders, answers = self._running.stdin, self._running.stdout
        if orders is None or answers is None:
            raise ValueError("the launcher was started without pipes")
        orders.write(json.dumps(asdict(order)) + "\n")
        orders.flush()
        if not (answer := answers.readline()):
            raise NotInTimeError(f"the launcher has ended; its log is {self._log}")
        return int(answer)

    def close(self) -> None:
        """Ends it; on Linux all that it has started ends too."""
        self._running.kill()
        self._running.communicate()


class Process:
    """One process of the stack, across its deaths."""

    def __init__(self, planned: Planned, launcher: Launcher, folder: Path) -> None:
        self.name = planned.name
        self.gate = Gate(folder / f"gate-{planned.name}")
        self.database = _file_of(planned.env)
        #: For its next start.
        self.environment = {
            # Alerts would be tasks that no caller posted.
            name: value
            for name, value in planned.env.items()
            if name != "WAYBILL_OPS_ADDRESS"
        }
        self._log = folder / f"{planned.name}.log"
        self._ready_url = planned.ready_url
        _python, _dash_m, module, *arguments = planned.argv
        self._order = Order(
            module, arguments, self.environment, str(self._log), str(folder / f"gate-{planned.name}")
        )
        self._launcher = launcher
        self._pid: int | None = None
        # Kept: to make a client reads all certificates of the system, which takes longer than the question.
        self._asking = httpx.Client(timeout=PATIENCE, trust_env=False)

    def start(self) -> None:
        """Starts it; see `wait_ready`."""
        self._pid = self._launcher.start(self._order)

    def wait_ready(self) -> None:
        """Returns when it does its work."""
        until(self._is_up, f"{self.name} to be ready; its log is {self._log}")

    def kill(self) -> None:
        """Ends it at once, with what it has started."""
        if self._pid is not None:
            with suppress(ProcessLookupError):  # it has ended by itself, and its log says why
                os.killpg(self._pid, signal.SIGKILL)
            until(lambda: not self.is_alive(), f"{self.name} to be gone")
            self._pid = None

    def close(self) -> None:
        """Ends it for good."""
        self.kill()
        self._asking.close()

    def is_alive(self) -> bool:
        """Whether it runs."""
        if self._pid is None:
            return False
        try:
            os.kill(self._pid, 0)
        except ProcessLookupError:
            return False
        return True

    def is_ready(self) -> bool:
        """Whether it does its work."""
        try:
            return self._asking.get(self._ready_url).is_success
        except httpx.TransportError:
            return False

    def _is_up(self) -> bool:
        if not self.is_alive():
            raise NotInTimeError(f"{self.name} has ended; its log is {self._log}")
        return self.is_ready()


class CrashStack:
    """All of it, running."""

    def __init__(
        self, folder: Path, broker: Broker, vhost: str, launcher: Launcher, ports: Ports, more: Sequence[int]
    ) -> None:
        self.folder = folder
        self.broker = broker
        self.vhost = vhost
        self.amqp_url = broker.vhost_url(vhost)
        plan = make_plan(folder, self.amqp_url, ports)
        ledger = Path(plan.ledger_url.removeprefix("sqlite:///"))
        put_empty_ledger(ledger)
        self.ledger = LedgerFile(ledger)
        self.objects = plan.objects
        of_team, of_application = more[: len(_TEAM)], more[len(_TEAM) :]
        planned = (
            *plan.processes,
            *_planned_of_team(folder, plan, ports, of_team),
            *_planned_of_application(folder, plan, ports, of_application),
        )
        self.processes = {each.name: Process(each, launcher, folder) for each in planned}
        self.gateway = _client(url(ports.gateway))
        self.crm = _client(url(ports.crm))
        self.mailbox = _client(url(ports.mailbox))
        self.shop = _client(url(of_application[0]))

    def start(self) -> None:
        """Starts every process but those of cells, and returns when all do their work."""
        core = [process for name, process in self.processes.items() if name not in {OWNER, *_OF_CELLS}]
        # A service of the team needs a gateway that it registers itself at.
        for processes in (core, [self.processes[OWNER]]):
            for process in processes:
                process.start()
            for process in processes:
                process.wait_ready()

    def kept_messages(self) -> int:
        """Messages of long attempts in the inbox of the team's service."""
        ((number,),) = query_file(self.folder / f"{OWNER}.db", "SELECT count(*) FROM kept_messages")
        return int(number)

    def close(self) -> None:
        """Ends every process."""
        for process in self.processes.values():
            process.close()
        for client in (self.gateway, self.crm, self.mailbox, self.shop):
            client.close()


@contextmanager
def running(folder: Path, broker: Broker, number: int) -> Iterator[list[CrashStack]]:
    """So many stacks, on a virtual host each, for the time of the block."""
    with ExitStack() as open_:
        launcher = Launcher(folder / "launcher.log")
        open_.callback(launcher.close)
        stacks: list[CrashStack] = []
        # Drawn together: what is drawn later could meet what is not listened on yet.
        for index, (ports, more) in enumerate(_ports(number)):
            place = folder / f"stack-{index}"
            place.mkdir()
            stack = CrashStack(place, broker, open_.enter_context(broker.vhost()), launcher, ports, more)
            open_.callback(stack.close)
            # One after the other: side by side they would only make each other late.
            stack.start()
            stacks.append(stack)
        yield stacks


def _ports(number: int) -> Iterator[tuple[Ports, Sequence[int]]]:
    core = len(fields(Ports))
    each = core + len(_TEAM) + len(_APPLICATION)
    drawn = free_ports(number * each)
    for first in range(0, len(drawn), each):
        yield Ports(*drawn[first : first + core]), drawn[first + core : first + each]


def _planned_of_team(folder: Path, plan: Plan, ports: Ports, team: Sequence[int]) -> Iterator[Planned]:
    """The services of the team, as the team would run them: `waybill run MODULE:SERVICE --register`."""
    (every,) = (planned.env for planned in plan.processes if planned.name == "sync")
    for name, port in zip(_TEAM, team, strict=True):
        own = {
            "WAYBILL_URL": url(ports.gateway),
            "WAYBILL_INBOX_URL": f"sqlite:///{folder / name}.db",
            "WAYBILL_HEALTH_PORT": str(port),
            "WAYBILL_CRM_URL": url(ports.crm),
        }
        command = ("-m", "waybill_cli", "run", f"tests.crash.team.{name}:service", "--register")
        yield Planned(name, (sys.executable, *command), every | own, url(port, "/readyz"))


def _planned_of_application(folder: Path, plan: Plan, ports: Ports, own: Sequence[int]) -> Iterator[Planned]:
    """A shop with an outbox in a database of its own, and its relays."""
    (every,) = (planned.env for planned in plan.processes if planned.name == "sync")
    database = f"sqlite:///{folder / SHOP}.db"
    env = {
        name: value
        for name, value in every.items()
        if name not in {"WAYBILL_INBOX_URL", "WAYBILL_LEDGER_URL"}
    } | {"WAYBILL_URL": url(ports.gateway), "WAYBILL_OUTBOX_DATABASE": database}
    shop, *relays = own
    command = (sys.executable, "-m", "tests.crash.outbox", database, str(shop))
    yield Planned(SHOP, command, env, url(shop, "/readyz"))
    for name, port in zip((RELAY, SECOND_RELAY), relays, strict=True):
        relay = (sys.executable, "-m", "waybill_cli", "relay", "--metrics", str(port))
        yield Planned(name, relay, env, url(port, "/metrics"))


def _client(base_url: str) -> httpx.Client:
    return httpx.Client(base_url=base_url, timeout=PATIENCE, trust_env=False)


def _file_of(env: dict[str, str]) -> Path | None:
    named = (env.get(f"WAYBILL_{each}") for each in ("INBOX_URL", "LEDGER_URL", "OUTBOX_DATABASE"))
    database = next((each for each in named if each), None)
    return None if database is None else Path(database.removeprefix("sqlite:///"))
