"""Restarts processes of a running stack one by one: the new one is ready before the old one stops."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic, sleep

from waybill_devstack.processes import StartError, Supervisor
from waybill_devstack.stack.stackfile import StackFile, read_stackfile

#: They keep their state in memory: a restart would lose it.
STAND_INS = ("mailbox", "crm")
#: Time limit for all restarts, on a busy machine.
RESTART_SECONDS = 300.0
POLL_SECONDS = 0.1


class RestartError(Exception):
    """A process is not restarted; `str()` says why."""


@asynccontextmanager
async def restarting_on_request(supervisor: Supervisor, stack: StackFile) -> AsyncIterator[None]:
    """For the time of the block, on SIGHUP restarts the requested processes, or all but the stand-ins."""
    requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, requested.set)
    restarting = asyncio.create_task(_restart_on_request(supervisor, _request_file(stack), requested))
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        restarting.cancel()
        await asyncio.gather(restarting, return_exceptions=True)


def restart(stack: StackFile, names: Sequence[str]) -> None:
    """Restarts processes of a running stack; returns when all new ones are ready.

    Args:
        stack: the stack.
        names: names of the processes; empty: all but the stand-ins.

    Raises:
        RestartError: a name is unknown, or a new process did not become ready and the old one goes on.
    """
    before = _pids(stack)
    wanted = list(names) or [name for name in before if name not in STAND_INS]
    if strangers := sorted(set(wanted) - before.keys() | set(wanted) & set(STAND_INS)):
        known = ", ".join(name for name in before if name not in STAND_INS)
        raise RestartError(f"cannot restart {', '.join(strangers)}: choose from {known}")
    _request_file(stack).write_text("\n".join(wanted))
    os.kill(stack.supervisor, signal.SIGHUP)
    deadline = monotonic() + RESTART_SECONDS
    while late := [name for name in wanted if _is_as_before(stack, name, before[name])]:
        if monotonic() > deadline:
            raise RestartError(f"not restarted: {', '.join(late)}; the output of the stack says why")
        sleep(POLL_SECONDS)


async def _restart_on_request(supervisor: Supervisor, request: Path, requested: asyncio.Event) -> None:
    while True:
        await requested.wait()
        requested.clear()
        wanted = request.read_text().split() if request.exists() else []
        request.unlink(missing_ok=True)
        for name in wanted or [name for name in supervisor.pids() if name not in STAND_INS]:
            try:
                await supervisor.restart(name)
            except StartError as error:
                supervisor.say(f"{name} is not restarted, the old one goes on. {error}")
            else:
                supervisor.say(f"{name} is restarted")


def _request_file(stack: StackFile) -> Path:
    return stack.path.with_name("restart")


def _pids(stack: StackFile) -> dict[str, int]:
    return {process.name: process.pid for process in read_stackfile(stack.path).processes}


def _is_as_before(stack: StackFile, name: str, pid: int) -> bool:
    if _pids(stack).get(name, pid) == pid:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
