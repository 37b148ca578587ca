"""The callers: they post one task each, with an idempotency key, until they are told that it is accepted.

Those who call their task off as well do that until they are told what it could still do.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from time import monotonic, sleep
from typing import Any

import httpx
import pyvips

from tests.crash.rows import Flow
from tests.crash.stack import PATIENCE, CrashStack
from waybill_contracts.wire.states import State

#: How many tasks a cell posts; images cost a second of work each.
TASKS: Mapping[Flow, int] = {flow: 4 if flow is Flow.IMAGE else 20 for flow in Flow}
#: Seconds before a caller that got no 202 repeats its call.
REPEAT_SECONDS = 0.2
#: Seconds until a task that is for later is due.
DELAY_SECONDS = 1
#: Seconds that the crm asks the first attempt to wait, so that a task can be called off meanwhile, also by a
#: sweep, which comes after 5 s.
RETRY_AFTER_SECONDS = 7
#: Seconds by which the crm's answer is late, so that a task can be called off while it runs.
ANSWER_SECONDS = 5
#: Seconds to wait for the moment to call a task off; after that it is done at any moment.
MOMENT_SECONDS = 10
#: The states that no task leaves.
TERMINAL = frozenset(state.value for state in State if state.is_terminal)
#: Edge of the pictures in pixels: small, so that rendering takes no time.
PICTURE_EDGE = 64


@dataclass(frozen=True, slots=True)
class Call:
    """One call, the same each time it is repeated."""

    #: Names the record, address or picture that this call alone is about.
    name: str
    path: str
    content: dict[str, Any]
    #: The states in which its task is to be called off; None: not at all.
    call_off_when: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What a caller was told."""

    #: Its task is accepted, under this id.
    task_id: str
    #: What calling it off could still do, in the gateway's word; None: it was not called off.
    cancellation: str | None = None


def calls_of(flow: Flow, cell: str) -> list[Call]:
    """The calls of a cell."""
    return [_call(flow, f"{cell}-{number}", number) for number in range(TASKS[flow])]


def prepare(stack: CrashStack, flow: Flow, calls: list[Call]) -> None:
    """Empties the outside world, and has it fail as the flow wants it."""
    stack.crm.delete("/records").raise_for_status()
    stack.crm.post("/faults", json={}).raise_for_status()
    stack.mailbox.delete("/api/messages").raise_for_status()
    for call in calls:
        if flow is Flow.RETRY:
            stack.crm.post("/faults", json={"id": call.name, "status": 503, "count": 1}).raise_for_status()
        elif flow is Flow.DEAD:
            stack.crm.post("/faults", json={"id": call.name, "status": 422}).raise_for_status()
        elif flow is Flow.CANCEL_RETRYING:
            fault = {"id": call.name, "retry_after": RETRY_AFTER_SECONDS, "count": 1}
            stack.crm.post("/faults", json=fault).raise_for_status()
        elif flow is Flow.CANCEL_RUNNING:
            fault = {"id": call.name, "delay": ANSWER_SECONDS, "count": 1}
            stack.crm.post("/faults", json=fault).raise_for_status()


class Caller:
    """Asks until it is answered, however often that takes."""

    def __init__(self, gateway: httpx.Client, deadline: float) -> None:
        """Asks `gateway` until `deadline`, in the seconds of `monotonic`."""
        self._gateway = gateway
        self._deadline = deadline

    def do(self, call: Call) -> Told | None:
        """Makes a call, and calls the task off if that is part of it; None if it was not accepted in time."""
        # 409: the gateway is still busy with the call whose answer was lost.
        key = {"Idempotency-Key": call.name}
        accepted = self._until_answered(call.path, {HTTPStatus.ACCEPTED}, headers=key, **call.content)
        if accepted is None:
            return None
        task_id: str = accepted.json()["id"]
        if call.call_off_when is None:
            return Told(task_id)
        self._wait_for(task_id, call.call_off_when)
        path = f"/v1/tasks/{task_id}/cancel"
        answered = self._until_answered(path, {HTTPStatus.OK, HTTPStatus.CONFLICT})
        if answered is None:
            return Told(task_id)
        return Told(task_id, answered.json()["outcome"] if answered.is_success else "too_late")

    def _until_answered(
        self, path: str, answers: AbstractSet[HTTPStatus], **content: Any
    ) -> httpx.Response | None:
        while monotonic() < self._deadline:
            try:
                answer = self._gateway.post(path, **content)
            except httpx.TransportError:
                sleep(REPEAT_SECONDS)
                continue
            if answer.status_code in answers:
                return answer
            if not answer.is_server_error and answer.status_code != HTTPStatus.CONFLICT:
                raise AssertionError(f"{path} answered {answer.status_code}: {answer.text}")
            sleep(REPEAT_SECONDS)
        return None

    def _wait_for(self, task_id: str, states: AbstractSet[str]) -> None:
        deadline = monotonic() + MOMENT_SECONDS
        while monotonic() < deadline:
            with suppress(httpx.TransportError):
                task = self._gateway.get(f"/v1/tasks/{task_id}")
                if task.is_success and task.json()["state"] in states | TERMINAL:
                    return
            sleep(REPEAT_SECONDS)


class Callers:
    """Makes all calls at once, beside what the test does."""

    def __init__(self, gateway: httpx.Client, calls: list[Call]) -> None:
        caller = Caller(gateway, monotonic() + PATIENCE)
        self._threads = ThreadPoolExecutor(len(calls), thread_name_prefix="caller")
        self._answers: list[Future[Told | None]] = [self._threads.submit(caller.do, call) for call in calls]

    def told(self) -> list[Told]:
        """Waits until every caller has been answered; what those were told whose task was accepted."""
        try:
            return [told for answer in self._answers if (told := answer.result()) is not None]
        finally:
            self._threads.shutdown()


def _call(flow: Flow, name: str, number: int) -> Call:
    match flow:
        case Flow.MAIL:
            mail = {"to": f"{name}@example.com", "subject": "Hello", "text": "Once."}
            return Call(name, "/v1/emails", {"json": mail})
        case Flow.IMAGE:
            return Call(name, "/v1/images", {"files": {"file": (f"{name}.png", picture(name))}})
        case _:
            sync = {"target": "crm", "resource": "crash", "id": name, "data": {"number": number}}
            later = {"delay_seconds": DELAY_SECONDS} if flow in {Flow.LATER, Flow.CANCEL_LATER} else {}
            return Call(name, "/v1/syncs", {"json": sync | later}, _moment(flow, number))


def _moment(flow: Flow, number: int) -> frozenset[str] | None:
    match flow:
        case Flow.CANCEL_RETRYING:
            return frozenset({"retrying"})
        case Flow.CANCEL_RUNNING:
            return frozenset({"running"})
        case Flow.CANCEL_LATER:
            # Some long before they are due, some just then.
            return frozenset({"scheduled"}) if number % 2 else frozenset({"pending", "running"})
        case _:
            return None


def picture(name: str) -> bytes:
    """A small PNG that has no equal."""
    # Noise of its own, so that no other picture has the same files.
    seed = int.from_bytes(sha256(name.encode()).digest()[:3])
    png: bytes = (
        pyvips.Image.gaussnoise(PICTURE_EDGE, PICTURE_EDGE, seed=seed).cast("uchar").write_to_buffer(".png")
    )
    return png
