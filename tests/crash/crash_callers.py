"""The callers: they post one task each, with an idempotency key, until they are told that it is accepted."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from time import monotonic, sleep
from typing import Any

import httpx
import pyvips
from crash_rows import Flow
from crash_stack import PATIENCE, CrashStack

#: How many tasks a cell posts; images cost a second of work each.
TASKS: Mapping[Flow, int] = {flow: 4 if flow is Flow.IMAGE else 20 for flow in Flow}
#: Seconds before a caller that got no 202 repeats its call.
REPEAT_SECONDS = 0.2
#: Seconds until a task of `Flow.LATER` is due.
DELAY_SECONDS = 1
#: Edge of the pictures in pixels: small, so that rendering takes no time.
PICTURE_EDGE = 64


@dataclass(frozen=True, slots=True)
class Call:
    """One call, the same each time it is repeated."""

    #: Names the record, address or picture that this call alone is about.
    name: str
    path: str
    content: dict[str, Any]


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


class Callers:
    """Posts all calls at once, beside what the test does."""

    def __init__(self, gateway: httpx.Client, calls: list[Call]) -> None:
        self._gateway = gateway
        self._threads = ThreadPoolExecutor(len(calls), thread_name_prefix="caller")
        self._deadline = monotonic() + PATIENCE
        self._answers: list[Future[str | None]] = [self._threads.submit(self._post, call) for call in calls]

    def accepted(self) -> list[str]:
        """Waits for every caller's answer; the ids of the tasks that were answered with 202."""
        try:
            return [task_id for answer in self._answers if (task_id := answer.result()) is not None]
        finally:
            self._threads.shutdown()

    def _post(self, call: Call) -> str | None:
        while monotonic() < self._deadline:
            try:
                answer = self._gateway.post(call.path, headers={"Idempotency-Key": call.name}, **call.content)
            except httpx.TransportError:
                sleep(REPEAT_SECONDS)
                continue
            if answer.status_code == HTTPStatus.ACCEPTED:
                task_id: str = answer.json()["id"]
                return task_id
            # 409: the gateway is still busy with the call whose answer was lost.
            if not answer.is_server_error and answer.status_code != HTTPStatus.CONFLICT:
                raise AssertionError(f"{call.path} answered {answer.status_code}: {answer.text}")
            sleep(REPEAT_SECONDS)
        return None


def _call(flow: Flow, name: str, number: int) -> Call:
    match flow:
        case Flow.MAIL:
            mail = {"to": f"{name}@example.com", "subject": "Hello", "text": "Once."}
            return Call(name, "/v1/emails", {"json": mail})
        case Flow.IMAGE:
            return Call(name, "/v1/images", {"files": {"file": (f"{name}.png", _picture(name))}})
        case _:
            sync = {"target": "crm", "resource": "crash", "id": name, "data": {"number": number}}
            later = {"delay_seconds": DELAY_SECONDS} if flow is Flow.LATER else {}
            return Call(name, "/v1/syncs", {"json": sync | later})


def _picture(name: str) -> bytes:
    # Noise of its own, so that no other picture has the same files.
    seed = int.from_bytes(sha256(name.encode()).digest()[:3])
    png: bytes = (
        pyvips.Image.gaussnoise(PICTURE_EDGE, PICTURE_EDGE, seed=seed).cast("uchar").write_to_buffer(".png")
    )
    return png
