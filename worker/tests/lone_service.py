"""A service that runs one attempt in a process of its own, and goes the way that its task names."""

import asyncio
import os
import signal
from collections.abc import Callable

from waybill_contracts.wire.lifecycle import LifecycleType
from waybill_testkit.samples import NOON, reported
from waybill_worker.attempt.isolation import Emit, LoneAttempt
from waybill_worker.outcome import Completed, Outcome
from waybill_worker.runtime.settings import ProcessSettings


class LoneService:
    """Ends its process, hangs, waits to be stopped, has lost its lease, or completes."""

    def __init__(self) -> None:
        self.stopped = asyncio.Event()

    def stop_task(self, _task_id: str) -> None:
        """Lets an attempt that waits end."""
        self.stopped.set()

    async def run_alone(self, lone: LoneAttempt, begun: Callable[[], object], emit: Emit) -> Outcome | None:
        """As its task is called."""
        begun()
        match lone.envelope.task_id:
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "exits":
                os._exit(7)
            case "hangs":
                await asyncio.Event().wait()
            case "waits":
                await self.stopped.wait()
            case "reports":
                await emit(reported(LifecycleType.PROGRESS, lone.envelope.task_id, text=f"by {os.getpid()}"))
            case "lost":
                return None
        return Completed(at=NOON, seconds=0, max_attempts=3, result={"by": os.getpid()})


def make(_settings: ProcessSettings) -> LoneService:
    """The service."""
    return LoneService()


def make_none(_settings: ProcessSettings) -> LoneService:
    """No service: what it needs is not there."""
    raise OSError("there is no such folder")
