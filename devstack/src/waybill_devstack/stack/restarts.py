"""Restarts processes of a running stack one by one: the new one is ready before the old one stops."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic, sleep

from waybill_devstack.processes.supervisor import StartError, Supervisor
from waybill_devstack.stack.stackfile import StackFile, read_stackfile

#: They keep what they got in memory, as the outside world that they stand for does not.
STAND_INS = ("mailbox", "crm")
#: For all of them to be restarted, on a machine that is busy with other things.
RESTART_SECONDS = 300.0
POLL_SECONDS = 0.1


class RestartError(Exception):
    """Not all is restarted; `str()` says why."""


@asynccontextmanager
async def obeying_restarts(supervisor: Supervisor, stack: StackFile) -> AsyncIterator[None]:
    """For the time of the block, restarts on SIGHUP what was asked for, or else all but the stand-ins."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, told.set)
    obeying = asyncio.create_task(_obey(supervisor, _wish(stack), told))
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        obeying.cancel()
        await asyncio.gather(obeying, return_exceptions=True)


def restart(stack: StackFile, names: Sequence[str]) -> None:
    """Has processes of a stack that is up restarted, and returns when they are.

    Args:
        stack: the stack.
        names: of which processes; none: all but the stand-ins.

    Raises:
        RestartError: an unknown name, or one did not become ready; what ran before goes on.
    """
    before = _pids(stack)
    wanted = list(names) or [name for name in before if name not in STAND_INS]
    if strangers := sorted(set(wanted) - before.keys() | set(wanted) & set(STAND_INS)):
        known = ", ".join(name for name in before if name not in STAND_INS)
        raise RestartError(f"cannot restart {', '.join(strangers)}: choose from {known}")
    _wish(stack).write_text("\n".join(wanted))
    os.kill(stack.supervisor, signal.SIGHUP)
    deadline = monotonic() + RESTART_SECONDS
    while late := [name for name in wanted if _is_as_before(stack, name, before[name])]:
        if monotonic() > deadline:
            raise RestartError(f"not restarted: {', '.join(late)}; the output of the stack says why")
        sleep(POLL_SECONDS)


async def _obey(supervisor: Supervisor, wish: Path, told: asyncio.Event) -> None:
    while True:
        await told.wait()
        told.clear()
        wanted = wish.read_text().split() if wish.exists() else []
        wish.unlink(missing_ok=True)
        for name in wanted or [name for name in supervisor.pids() if name not in STAND_INS]:
            try:
                await supervisor.restart(name)
            except StartError as error:
                supervisor.say(f"{name} is not restarted, the old one goes on. {error}")
            else:
                supervisor.say(f"{name} is restarted")


def _wish(stack: StackFile) -> Path:
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
