"""The local stack: broker, ledger, all processes, and the file with their addresses."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from rich.console import Console

from waybill_devstack.processes import ProcessSpec, Supervisor, http_ok
from waybill_devstack.stack.plan import Planned, Ports, make_plan, url
from waybill_devstack.stack.restarts import restarting_on_request
from waybill_devstack.stack.stackfile import RunningProcess, StackFile, write_stackfile
from waybill_ledger.migrations import upgrade
from waybill_testkit.broker import Broker
from waybill_testkit.machine import LOOPBACK, PortTakenError

#: Connections that may wait to be accepted.
BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Folders:
    """Folders of stacks."""

    root: Path

    @property
    def stackfile(self) -> Path:
        """File with its addresses."""
        return self.root / "stack.json"

    def state(self, name: str) -> Path:
        """Data and logs of one stack; the demo has its own folder, so that it never touches yours."""
        return self.root / name

    def fresh_state(self, name: str) -> Path:
        """Empties the folder of a stack and returns it."""
        shutil.rmtree(self.state(name), ignore_errors=True)
        return self.state(name)


@asynccontextmanager
async def running(
    broker: Broker,
    ports: Ports,
    state: Path,
    stackfile: Path,
    output: Console,
    *,
    database: Callable[[str], str] | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[StackFile]:
    """Starts everything on a running broker, and stops it at the end of the block.

    Args:
        broker: a running broker.
        ports: where the processes listen.
        state: folder of data and logs.
        stackfile: file to write the addresses to.
        output: receives the output lines of the processes.
        database: URLs of databases, see `make_plan`.
        settings: more settings of all processes, see `make_plan`.

    Raises:
        StartError: a process did not begin its work in time.
    """
    state.mkdir(parents=True, exist_ok=True)
    plan = make_plan(state, broker.amqp_url, ports, database=database, settings=settings)
    await asyncio.to_thread(upgrade, plan.ledger_url)
    stack = StackFile(
        gateway=url(ports.gateway),
        mailbox=url(ports.mailbox),
        crm=url(ports.crm),
        amqp=broker.amqp_url,
        management=broker.management_url,
        processes=[],
        supervisor=os.getpid(),
        state=state,
        service_settings=plan.joining,
        path=stackfile,
    )

    def write_pids(pids: Mapping[str, int]) -> None:
        processes = [RunningProcess(name=name, pid=pid) for name, pid in pids.items()]
        write_stackfile(stack.model_copy(update={"processes": processes}))

    try:
        with ExitStack() as listeners:
            specs = [_spec(planned, listeners) for planned in plan.processes]
            async with Supervisor(state, output, on_pids=write_pids) as supervisor:
                await supervisor.start(*specs)
                async with restarting_on_request(supervisor, stack):
                    yield stack
    finally:
        stackfile.unlink(missing_ok=True)


def _spec(planned: Planned, listeners: ExitStack) -> ProcessSpec:
    ready = http_ok(planned.ready_url)
    if planned.port is None:
        return ProcessSpec(planned.name, planned.argv, planned.env, ready)
    # We keep the listener: connections wait in it while one process takes over from another.
    try:
        listener = listeners.enter_context(socket.create_server((LOOPBACK, planned.port), backlog=BACKLOG))
    except OSError as error:
        raise PortTakenError(
            f"port {planned.port}, chosen for {planned.name}, was taken since ({error.strerror}): try again"
        ) from error
    env = planned.env | {"WAYBILL_LISTENER_FD": str(listener.fileno())}
    return ProcessSpec(planned.name, planned.argv, env, ready, inherits=(listener.fileno(),))
