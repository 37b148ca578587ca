"""How a process is, for supervisors: alive, started, ready; or all processes of one parent together."""

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry

from waybill_worker.observe import exposition
from waybill_worker.prefork import Answer, siblings

#: Questions to the other processes of a parent, each with the seconds for its answer. To find out that a
#: database is silent takes up to three.
_LIVENESS: Final = "liveness"
_READINESS: Final = "readiness"
_SECONDS: Final = {_LIVENESS: 1.0, _READINESS: 4.0}


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a process can work now."""

    is_ready: bool
    #: What is looked at, by name, to be shown.
    checks: Mapping[str, bool]
    #: Whether it would count as started, unless it has been before.
    has_started: bool
    is_stopping: bool = False


class Condition:
    """The answers to supervisors: status and body of each, the body a JSON object.

    Each has the `pid` of the process that answers. Those of one of several processes are for all of them:
    ready if all are, alive if none is stuck, and refused if one is.

    Args:
        readiness: looks at this process.
        refusal: returns why broker or database refuse it for longer than a grace time; None: no.
        registry: its metrics.
    """

    def __init__(
        self,
        readiness: Callable[[], Awaitable[Readiness]],
        refusal: Callable[[], str | None],
        registry: CollectorRegistry,
    ) -> None:
        self._readiness = readiness
        self._refusal = refusal
        self._registry = registry
        self._siblings = siblings()
        self._has_started = False

    async def start(self) -> None:
        """Lets the other processes of the parent ask."""
        if self._siblings is not None:
            await self._siblings.listen(self._say)

    async def stop(self) -> None:
        """Answers them no more."""
        if self._siblings is not None:
            await self._siblings.close()

    async def liveness(self) -> tuple[int, dict[str, Any]]:
        """Whether it is alive: 503 once broker or database refuse it, or if another process is stuck."""
        others = await self._ask(_LIVENESS)
        if (refused := self._refused(others)) is not None:
            return refused
        if stuck := sum(each.is_running and each.said is None for each in others):
            body = {"status": "stuck", "pid": os.getpid(), "processes": 1 + len(others), "stuck": stuck}
            return 503, body
        return 200, {"status": "alive", "pid": os.getpid()}

    async def startup(self) -> tuple[int, dict[str, Any]]:
        """Whether it has been ready since its start; a broker that is away later does not change that."""
        if not self._were_ready:
            await self.readiness()
        if (refused := self._refused(await self._ask(_LIVENESS))) is not None:
            return refused
        if not self._were_ready:
            return 503, {"status": "starting", "pid": os.getpid()}
        return 200, {"status": "started", "pid": os.getpid()}

    async def readiness(self) -> tuple[int, dict[str, Any]]:
        """Whether it can work now."""
        here, others = await self._readiness(), await self._ask(_READINESS)
        found = [here, *(Readiness(**each.said) for each in others if each.said is not None)]
        if len(found) > len(others) and all(each.has_started for each in found):
            self._note_started()
        ready = sum(each.is_ready for each in found)
        is_ready = ready == 1 + len(others)
        stopping = any(each.is_stopping for each in found)
        body: dict[str, Any] = {
            "status": "stopping" if stopping else "ready" if is_ready else "not ready",
            "pid": os.getpid(),
        }
        body |= {name: all(each.checks[name] for each in found) for name in here.checks}
        if others:
            body |= {"processes": 1 + len(others), "ready": ready}
        return 200 if is_ready else 503, body

    def metrics(self) -> tuple[bytes, str]:
        """The answer of /metrics: its text and content type."""
        return exposition(self._registry if self._siblings is None else self._siblings.registry())

    def _refused(self, others: Iterable[Answer]) -> tuple[int, dict[str, Any]] | None:
        """The answer if broker or database refuse a process."""
        refusals = (self._refusal(), *(each.said["refusal"] for each in others if each.said is not None))
        reason = next((each for each in refusals if each is not None), None)
        return None if reason is None else (503, {"status": "refused", "pid": os.getpid(), "reason": reason})

    @property
    def _were_ready(self) -> bool:
        return self._has_started if self._siblings is None else self._siblings.were_all_ready

    def _note_started(self) -> None:
        self._has_started = True
        if self._siblings is not None:
            self._siblings.note_all_ready()

    async def _ask(self, question: str) -> list[Answer]:
        if self._siblings is None:
            return []
        return await self._siblings.ask(question, seconds=_SECONDS[question])

    async def _say(self, question: str) -> dict[str, Any]:
        """The answer to another process."""
        if question == _LIVENESS:
            return {"refusal": self._refusal()}
        return asdict(await self._readiness())
