"""The tasks of a gateway in memory: accepted, refused, cancelled as a gateway does."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from waybill.client import new_key
from waybill_contracts.events import Event
from waybill_contracts.registry import Contract
from waybill_contracts.states import State
from waybill_contracts.wire import trace_id_of

_TENANT: Final = "default"


class RefusedSubmission(Exception):  # noqa: N818 - it is the answer, not a defect
    """A call that is refused, as a problem document says it."""

    def __init__(self, status: int, code: str, detail: str, errors: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.errors = status, code, detail, errors


class ParentTask(NamedTuple):
    """The task that spawned a task, and the service whose handler did."""

    id: str
    service: str


@dataclass
class MemoryTask:
    """A task that was submitted.

    client.submit("order.placed", {"order_id": "17"}, key="order-17")
    [task] = gateway.tasks
    assert (task.kind, task.key, task.state) == ("order.placed", "order-17", "pending")
    """

    kind: str
    #: As it was sent: JSON without what is left at its default.
    data: dict[str, Any]
    #: Its idempotency key; None: it was spawned.
    key: str | None = None
    version: int | None = None
    priority: str = "normal"
    #: When it begins; None: at once.
    due_at: datetime | None = None
    parent: ParentTask | None = None
    #: Its subject, and the services that have a part in it.
    about: str = ""
    services: tuple[str, ...] = ()
    #: Its name, and the trace that it is part of, where it was submitted with others.
    request_id: str | None = None
    traceparent: str | None = None
    id: str = field(default_factory=new_key)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    state: State = State.PENDING
    #: Service to the result of its handler, and to the error that failed it.
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: What happened to it, as its timeline has it.
    history: list[dict[str, Any]] = field(default_factory=list)
    #: Service and name to the content of the files that its handlers have written.
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)

    @property
    def is_ended(self) -> bool:
        """Whether it has its outcome."""
        return self.state.is_terminal

    def accepted(self) -> dict[str, Any]:
        """The answer to its submission."""
        state = State.PENDING if self.due_at is None else State.SCHEDULED
        return {"id": self.id, "kind": self.kind, "state": state, "links": self._links()}

    def view(self) -> dict[str, Any]:
        """The answer to a question about it."""
        at = self.created_at.isoformat()
        return {
            **self.accepted(),
            "state": self.state,
            "created_at": at,
            "due_at": self.due_at and self.due_at.isoformat(),
            "completed_at": at if self.is_ended else None,
            "correlation_id": self.request_id or self.id,
            "trace_id": trace_id_of(self.traceparent),
            "about": self.about,
            "priority": self.priority,
            "schedule": None,
            "parent": self.parent and self.parent._asdict(),
            "children": 0,
            "erased_at": None,
            "subtasks": [self._subtask(service) for service in self.services],
        }

    def happened(self, type_: str, service: str | None = None) -> None:
        """Adds an event to its timeline."""
        of_service: dict[str, Any] = {"service": None, "attempt": None, "redrive_no": None}
        if service is not None:
            of_service = {"service": service, "attempt": 1, "redrive_no": 0}
        self.history.append({"type": type_, "at": datetime.now(UTC).isoformat(), "details": {}} | of_service)

    def timeline(self) -> dict[str, Any]:
        """What happened to it."""
        return {"task_id": self.id, "events": self.history}

    def listed_files(self) -> list[dict[str, Any]]:
        """What its handlers have written."""
        return [
            {
                "name": name,
                "service": service,
                "size_bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
                "content_type": "application/octet-stream",
                "links": {"self": f"/v1/tasks/{self.id}/files/{name}"},
            }
            for (service, name), content in sorted(self.files.items())
        ]

    def content_of(self, name: str) -> bytes:
        """The content of one of its files.

        Raises:
            RefusedSubmission: it has none of this name.
        """
        if not self.is_ended:
            raise RefusedSubmission(409, "not_produced_yet", "The task is not completed.")
        for (_, each), content in self.files.items():
            if each == name:
                return content
        raise RefusedSubmission(404, "no_such_file", "The task has no such file.")

    def _subtask(self, service: str) -> dict[str, Any]:
        has_run = service in self.results or service in self.errors
        done = State.FAILED if service in self.errors else State.COMPLETED
        return {
            "service": service,
            "state": done if has_run else self.state,
            "attempt": 1 if has_run else 0,
            "max_attempts": None,
            "next_attempt_at": None,
            "redrive_no": 0,
            "updated_at": self.created_at.isoformat(),
            "progress": None,
            "result": self.results.get(service),
            "error": self.errors.get(service),
        }

    def _links(self) -> dict[str, str]:
        return {"self": f"/v1/tasks/{self.id}", "timeline": f"/v1/tasks/{self.id}/timeline"}


class MemoryTasks:
    """All tasks, by id.

    Args:
        events: kind to its class; None: any kind is accepted.
        services: kind to the names of the services that handle it.
    """

    def __init__(
        self, events: Mapping[str, type[Event]] | None, services: Mapping[str, tuple[str, ...]]
    ) -> None:
        self.events: Final = events
        self.tasks: Final[dict[str, MemoryTask]] = {}
        self._services = services
        #: Key to the content of the call, and the id of its task.
        self._by_key: dict[str, tuple[str, str]] = {}

    def accept(
        self,
        posted: dict[str, Any],
        key: str | None,
        request_id: str | None = None,
        traceparent: str | None = None,
    ) -> MemoryTask:
        """Accepts a task, or finds the one that was accepted with its key.

        Raises:
            RefusedSubmission: 422, its data or its key is wrong.
        """
        if key is not None and key in self._by_key:
            before, task_id = self._by_key[key]
            if before != _content(posted):
                raise RefusedSubmission(422, "key_reused", "This key was used for a call with other content.")
            return self.tasks[task_id]
        self._check(posted)
        task = MemoryTask(
            posted["kind"],
            posted["data"],
            key,
            posted.get("version"),
            posted.get("priority", "normal"),
            _due_at(posted),
            request_id=request_id,
            traceparent=traceparent,
        )
        self.add(task)
        if key is not None:
            self._by_key[key] = _content(posted), task.id
        return task

    def accept_together(self, posted: list[dict[str, Any]], key: str | None) -> list[MemoryTask]:
        """Accepts all, or none.

        Raises:
            RefusedSubmission: 422, one is wrong.
        """
        keys = [
            each.pop("idempotency_key", None) or (None if key is None else f"{key}#{number}")
            for number, each in enumerate(posted)
        ]
        # No part of the content: a repeat may have others.
        names = [(each.pop("request_id", None), each.pop("traceparent", None)) for each in posted]
        if faults := [*self._faults(posted)] or [*self._reused(posted, keys)]:
            raise RefusedSubmission(422, "tasks_refused", "Nothing was accepted; see errors.", faults)
        return [self.accept(each, own, *named) for each, own, named in zip(posted, keys, names, strict=True)]

    def add(self, task: MemoryTask) -> None:
        """Adds a task that is valid."""
        task.state = State.PENDING if task.due_at is None else State.SCHEDULED
        task.services = self._services.get(task.kind, ())
        event = _class_of(task.kind) if self.events is None else self.events.get(task.kind)
        task.about = "" if event is None else Contract.of(event).about(task.data)
        task.happened("task.accepted")
        self.tasks[task.id] = task

    def named(self, task_id: str) -> MemoryTask:
        """The task of this id.

        Raises:
            RefusedSubmission: 404, there is none.
        """
        if task_id not in self.tasks:
            raise RefusedSubmission(404, "no_such_task", "There is no task of this id.")
        return self.tasks[task_id]

    def cancel(self, task_id: str) -> dict[str, Any]:
        """Cancels a task.

        Raises:
            RefusedSubmission: there is none, or it has ended.
        """
        task = self.named(task_id)
        if task.is_ended and task.state is not State.CANCELLED:
            raise RefusedSubmission(409, "too_late", f"The task is already {task.state}.")
        task.state = State.CANCELLED
        task.happened("task.cancelled")
        return {"id": task.id, "outcome": "prevented", "links": task.accepted()["links"]}

    def upload(self, content: bytes, content_type: str, name: str | None) -> dict[str, Any]:
        """The reference to an upload."""
        sha256 = hashlib.sha256(content).hexdigest()
        stored: dict[str, Any] = {
            "key": f"files/{_TENANT}/{sha256[:2]}/{sha256}",
            "sha256": sha256,
            "size_bytes": len(content),
            "content_type": content_type,
            "expires_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
        }
        return stored if name is None else stored | {"name": name}

    def _faults(self, posted: Sequence[dict[str, Any]]) -> Iterator[dict[str, str]]:
        """What the contracts do not allow."""
        for number, each in enumerate(posted):
            try:
                self._check(each)
            except RefusedSubmission as refused:
                yield from (_within(number, fault["field"], fault["message"]) for fault in refused.errors)

    def _reused(
        self, posted: Sequence[dict[str, Any]], keys: Sequence[str | None]
    ) -> Iterator[dict[str, str]]:
        """Keys that were used for other content, also in the same call."""
        used = {key: content for key, (content, _) in self._by_key.items()}
        for number, (each, key) in enumerate(zip(posted, keys, strict=True)):
            if key is not None and used.setdefault(key, _content(each)) != _content(each):
                yield _within(number, "/idempotency_key", "was used for other content")

    def _check(self, posted: dict[str, Any]) -> None:
        if self.events is None:
            return
        event = self.events.get(posted["kind"])
        if event is None:
            known = ", ".join(sorted(self.events))
            errors = [{"field": "kind", "message": f"is none of those that this test knows: {known}"}]
            raise RefusedSubmission(422, "unknown_kind", "There is no kind of this name.", errors)
        try:
            event.model_validate_json(json.dumps(posted["data"]), strict=True)
        except ValidationError as error:
            errors = [
                {"field": "/data" + "".join(f"/{part}" for part in each["loc"]), "message": each["msg"]}
                for each in error.errors()
            ]
            raise RefusedSubmission(
                422, "invalid_data", "The data breaks the contract of its kind.", errors
            ) from None


def _content(posted: Mapping[str, Any]) -> str:
    return json.dumps(posted, sort_keys=True)


def _within(number: int, place: str, message: str) -> dict[str, str]:
    return {"field": f"/tasks/{number}/{place.removeprefix('/')}", "message": message}


def _class_of(kind: str) -> type[Event] | None:
    """The class of a kind that this process has defined; None: there is none."""
    found = [Event]
    for each in found:
        if each.__dict__.get("KIND") == kind:
            return each
        found += each.__subclasses__()
    return None


def _due_at(posted: dict[str, Any]) -> datetime | None:
    if posted.get("delay_seconds"):
        return datetime.now(UTC) + timedelta(seconds=posted["delay_seconds"])
    at = posted.get("send_at")
    return None if at is None else datetime.fromisoformat(at)
