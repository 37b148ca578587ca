"""The local stack: broker, ledger, all processes, and the file that tells where they are."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

import ledger
from devstack.broker import Broker
from devstack.plan import Plan, Planned, Ports, make_plan, url
from devstack.stackfile import RunningProcess, StackFile, write_stackfile
from devstack.supervisor import ProcessSpec, Supervisor

#: Seconds that all processes together may take to begin their work, on a busy machine.
READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the stack keeps what."""

    root: Path

    @property
    def stackfile(self) -> Path:
        """Where it can be reached."""
        return self.root / "stack.json"

    def state(self, name: str) -> Path:
        """Data and logs of one stack; the demo has its own, so that it never touches yours."""
        return self.root / name

    def fresh_state(self, name: str) -> Path:
        """The same, emptied."""
        shutil.rmtree(self.state(name), ignore_errors=True)
        return self.state(name)


@asynccontextmanager
async def running(broker: Broker, ports: Ports, state: Path, stackfile: Path) -> AsyncIterator[StackFile]:
    """Starts everything on a running broker, and stops it at the end of the block.

    Raises:
        NotReadyError: a process did not begin its work in time.
    """
    state.mkdir(parents=True, exist_ok=True)
    plan = make_plan(state, broker.amqp_url, ports)
    await asyncio.to_thread(ledger.upgrade, plan.ledger_url)
    stack = StackFile(
        gateway=url(ports.gateway),
        mailbox=url(ports.mailbox),
        crm=url(ports.crm),
        amqp=broker.amqp_url,
        management=broker.management_url,
        processes=[],
        supervisor=os.getpid(),
        state=state,
        path=stackfile,
    )

    def write_down(pids: dict[str, int]) -> None:
        processes = [RunningProcess(name=name, pid=pid) for name, pid in pids.items()]
        write_stackfile(stack.model_copy(update={"processes": processes}))

    try:
        async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
            supervisor = Supervisor(_specs(plan, client), logs=state / "logs", on_change=write_down)
            try:
                await supervisor.start(ready_seconds=READY_SECONDS)
                yield stack
            finally:
                await supervisor.stop()
    finally:
        stackfile.unlink(missing_ok=True)


def _specs(plan: Plan, client: httpx.AsyncClient) -> list[list[ProcessSpec]]:
    def ready(planned: Planned) -> ProcessSpec:
        async def answers() -> bool:
            try:
                return (await client.get(planned.ready_url)).is_success
            except httpx.TransportError:
                return False

        return ProcessSpec(planned.name, planned.argv, planned.env, answers)

    return [[ready(planned) for planned in plan.processes]]
