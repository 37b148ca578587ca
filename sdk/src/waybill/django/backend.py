"""The backend: what `task.enqueue(…)` does, and where a result comes from."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.core import checks
from django.db import connections
from django.utils import timezone
from django.utils.module_loading import import_string

from waybill import DefinitionError, Service, outbox
from waybill.client import Client, Task
from waybill.django.framework import (
    BaseTaskBackend,
    TaskResultDoesNotExist,
    normalize_json,
    task_enqueued,
)
from waybill.django.kinds import DEFAULT_QUEUE, FunctionCall, event_of, is_of, service_of
from waybill.django.results import new_result, result_of
from waybill.django.rows import waiting_function
from waybill.problems import ProblemError
from waybill.submitting import sync_client

_NOT_FOUND: Final = 404


class WaybillBackend(BaseTaskBackend):  # type: ignore[misc] # Django is untyped
    """Makes tasks of Django tasks of Waybill.

        TASKS = {
            "default": {
                "BACKEND": "waybill.django.WaybillBackend",
                "QUEUES": ["default", "mails"],
                "OPTIONS": {"SERVICE": "shop", "OUTBOX": "default"},
            }
        }

    `waybill run waybill.django.worker:shop` runs the tasks of the default queue, `…:shop-mails` those of the
    queue mails. A function that raises is run again, as any handler is.

    Options:
        SERVICE: name of the service; `django` by default.
        OUTBOX: alias of the database whose application outbox a task is written to, with the transaction
            that is open there: it is accepted once that is committed. Without it a task is accepted when
            `enqueue` returns.
        ATTEMPTS: most attempts of a task; 16 by default.
    """

    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def __init__(self, alias: str, params: Mapping[str, Any]) -> None:
        super().__init__(alias, params)
        self.project: str = self.options.get("SERVICE", "django")
        self.attempts: int = self.options.get("ATTEMPTS", 16)
        self._outbox: str | None = self.options.get("OUTBOX")

    def enqueue(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Submits a task, or writes it into the outbox.

        Raises:
            InvalidTask: the backend cannot run it.
            TypeError: an argument is not JSON.
            ClientError: it was not accepted, or that is not known.
            OutboxError: the outbox refuses it.
        """
        self.validate_task(task)
        call = self.event_of(task, args, kwargs)
        how: dict[str, Any] = {"send_at": _start(task.run_after), "priority": _priority(task.priority)}
        if self._outbox is None:
            id_ = sync_client().submit(call, **how).id
        else:
            id_ = outbox.submit(connections[self._outbox], call, **how)
        result = new_result(task, id_, self.alias, args=args, kwargs=kwargs)
        task_enqueued.send(type(self), task_result=result)
        return result

    def get_result(self, result_id: str) -> Any:
        """What became of a task.

        Its arguments are empty: they may be about people, and the ledger keeps them sealed.

        Raises:
            TaskResultDoesNotExist: there is no such task, or none of this backend.
            ClientError: the gateway does not answer.
        """
        try:
            UUID(result_id)
        except ValueError:
            raise TaskResultDoesNotExist(result_id) from None
        if self._outbox is not None:
            # First: a relay deletes a row once its task is accepted.
            path = waiting_function(connections[self._outbox], result_id, self.project)
            if path is not None:
                return new_result(import_string(path), result_id, self.alias)
        client: Client = sync_client()
        try:
            found = client.get(result_id) if self._outbox is None else _submitted(client, result_id)
            if not is_of(self.project, found.kind):
                raise TaskResultDoesNotExist(result_id)
            return result_of(found, client.timeline(found.id), self.alias, id_=result_id)
        except ProblemError as problem:
            if problem.status == _NOT_FOUND:
                raise TaskResultDoesNotExist(result_id) from problem
            raise

    def check(self, **kwargs: Any) -> list[Any]:
        """Checks the names of the services, for `manage.py check`."""
        found = list(super().check(**kwargs))
        for queue in sorted(self.queues or {DEFAULT_QUEUE}):
            try:
                Service(service_of(self.project, queue))
            except DefinitionError as error:
                found.append(
                    checks.Error(f"TASKS[{self.alias!r}], queue {queue!r}: {error}", id="waybill.E001")
                )
        return found

    def event_of(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> FunctionCall:
        """The event of a call of a function.

        Raises:
            TypeError: an argument is not JSON.
        """
        made = self._event_of(task.queue_name)
        return made(path=task.module_path, args=list(normalize_json(args)), kwargs=normalize_json(kwargs))

    def _event_of(self, queue: str) -> type[FunctionCall]:
        return event_of(service_of(self.project, queue))


def _submitted(client: Client, row_id: str) -> Task:
    """The task of a row that is no longer in the outbox; it has the row's id as its name."""
    for task in client.list(q=row_id):
        if task.correlation_id == row_id:
            return task
    raise TaskResultDoesNotExist(row_id)


def _start(run_after: datetime | None) -> datetime | None:
    if run_after is None:
        return None
    aware = run_after if timezone.is_aware(run_after) else timezone.make_aware(run_after)
    return aware if aware > timezone.now() else None


def _priority(priority: int) -> str:
    """Django counts from -100 to 100, with 0 as the usual one."""
    return "normal" if priority == 0 else "high" if priority > 0 else "low"
