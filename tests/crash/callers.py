"""Callers: each posts one task with an idempotency key, and repeats the call until the task is accepted.

Some also cancel their task, and repeat that until it is answered.
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
from tests.crash.team.names import COUNTED, PACKED, PLACED
from waybill_contracts.states import State

#: How many tasks a cell posts; images cost a second of work each, and so does a process of its own for each
#: long attempt that was cut off.
TASKS: Mapping[Flow, int] = {flow: 4 if flow in {Flow.IMAGE, Flow.LONG} else 20 for flow in Flow}
#: The kinds of the team.
KINDS: Mapping[Flow, str] = {Flow.SPAWN: PLACED, Flow.LONG: COUNTED, Flow.REGISTER: PACKED}
#: Seconds before a caller that got no 202 repeats its call.
REPEAT_SECONDS = 0.2
#: Seconds until a task that is for later is due.
DELAY_SECONDS = 1
#: Seconds that the crm asks the first attempt to wait, so that a task can be cancelled meanwhile, also by a
#: sweep, which comes after 5 s.
RETRY_AFTER_SECONDS = 7
#: Seconds by which the crm's answer is late, so that a task can be cancelled while it runs.
ANSWER_SECONDS = 5
#: Seconds to wait for the state to cancel a task in; after that it is cancelled in any state.
MOMENT_SECONDS = 10
#: The states that no task leaves.
TERMINAL = frozenset(state.value for state in State if state.is_terminal)
#: Edge of the pictures in pixels: small, so that rendering takes no time.
PICTURE_EDGE = 64


@dataclass(frozen=True, slots=True)
class Call:
    """One call; a repeat is identical."""

    #: Name of the record, address or picture; no other call has it.
    name: str
    path: str
    content: dict[str, Any]
    #: States in which to cancel the task; None: do not cancel it.
    cancel_when: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """Answers to a caller: 202, and that to its cancellation."""

    #: Id of the accepted task.
    task_id: str
    #: Outcome of the cancellation, as the gateway names it; None: not cancelled.
    cancellation: str | None = None


def calls_of(flow: Flow, cell: str) -> list[Call]:
    """The calls of a cell."""
    return [call_of(flow, f"{cell}-{number}", number) for number in range(TASKS[flow])]


def prepare(stack: CrashStack, flow: Flow, calls: list[Call]) -> None:
    """Clears crm and mailbox, and sets the faults of the flow."""
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
    """Repeats calls until they are answered."""

    def __init__(self, gateway: httpx.Client, deadline: float) -> None:
        """Repeats calls to `gateway` until `deadline`, in seconds of `monotonic`."""
        self._gateway = gateway
        self._deadline = deadline

    def do(self, call: Call) -> Accepted | None:
        """Makes a call, and cancels the task if the call says so; None if it was not accepted in time."""
        # 409: the gateway is still busy with the call whose answer was lost.
        key = {"Idempotency-Key": call.name}
        accepted = self._until_answered(call.path, {HTTPStatus.ACCEPTED}, headers=key, **call.content)
        if accepted is None:
            return None
        task_id: str = accepted.json()["id"]
        if call.cancel_when is None:
            return Accepted(task_id)
        self._wait_for(task_id, call.cancel_when)
        path = f"/v1/tasks/{task_id}/cancel"
        answered = self._until_answered(path, {HTTPStatus.OK, HTTPStatus.CONFLICT})
        if answered is None:
            return Accepted(task_id)
        return Accepted(task_id, answered.json()["outcome"] if answered.is_success else "too_late")

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
    """Makes all calls at once, in threads."""

    def __init__(self, gateway: httpx.Client, calls: list[Call]) -> None:
        caller = Caller(gateway, monotonic() + PATIENCE)
        self._threads = ThreadPoolExecutor(len(calls), thread_name_prefix="caller")
        self._answers: list[Future[Accepted | None]] = [
            self._threads.submit(caller.do, call) for call in calls
        ]

    def accepted(self) -> list[Accepted]:
        """Waits until every caller has been answered; returns the answers of those with an accepted task."""
        try:
            return [accepted for answer in self._answers if (accepted := answer.result()) is not None]
        finally:
            self._threads.shutdown()


def call_of(flow: Flow, name: str, number: int) -> Call:
    """One of the calls of a cell."""
    match flow:
        case Flow.MAIL:
            mail = {"to": f"{name}@example.com", "subject": "Hello", "text": "Once."}
            return Call(name, "/v1/emails", {"json": mail})
        case Flow.IMAGE:
            return Call(name, "/v1/images", {"files": {"file": (f"{name}.png", picture(name))}})
        case Flow.OUTBOX:
            return Call(name, f"/orders/{name}", {})
        case Flow.SPAWN | Flow.LONG | Flow.REGISTER:
            task = {"kind": KINDS[flow], "data": {"order_id": name}}
            return Call(name, "/v1/tasks", {"json": task})
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
    """A small PNG, different for each name."""
    # Noise of its own, so that no other picture has the same files.
    seed = int.from_bytes(sha256(name.encode()).digest()[:3])
    png: bytes = (
        pyvips.Image.gaussnoise(PICTURE_EDGE, PICTURE_EDGE, seed=seed).cast("uchar").write_to_buffer(".png")
    )
    return png
