"""The services of a Django project, one for each queue: `waybill run waybill.django.worker:django`.

It needs DJANGO_SETTINGS_MODULE; the name after the colon is that of the service.
"""

from typing import Any

import django
from django.conf import settings
from django.db import close_old_connections
from django.utils.module_loading import import_string

from waybill import Service, SyncAttempt
from waybill.django.backend import WaybillBackend
from waybill.django.framework import TaskContext, TaskResult, TaskResultStatus, normalize_json, task_backends
from waybill.django.kinds import DEFAULT_QUEUE, FunctionCall, event_of, service_of
from waybill.django.results import RETURN_VALUE

django.setup()


def run(call: FunctionCall, attempt: SyncAttempt) -> dict[str, object]:
    """Runs the function of a task, with connections of its own thread."""
    task = import_string(call.path)
    given = [TaskContext(task_result=_under_way(task, call, attempt))] if task.takes_context else []
    close_old_connections()
    try:
        returned = task.call(*given, *call.args, **call.kwargs)
    finally:
        close_old_connections()
    return {RETURN_VALUE: normalize_json(returned)}


def _under_way(task: Any, call: FunctionCall, attempt: SyncAttempt) -> Any:
    return TaskResult(
        task=task,
        id=attempt.task_id,
        status=TaskResultStatus.RUNNING,
        enqueued_at=None,
        started_at=None,
        last_attempted_at=None,
        finished_at=None,
        args=call.args,
        kwargs=call.kwargs,
        backend=task.backend,
        errors=[],
        worker_ids=[attempt.service] * attempt.attempt,
    )


def _queues() -> dict[str, int]:
    """Service of each queue, with the most attempts of its tasks: those of the first backend that has it."""
    found: dict[str, int] = {}
    for alias in settings.TASKS:
        backend = task_backends[alias]
        if isinstance(backend, WaybillBackend):
            # Without a list any queue may be named; who names another one than these lists it.
            for queue in sorted(backend.queues or {DEFAULT_QUEUE}):
                found.setdefault(service_of(backend.project, queue), backend.attempts)
    return found


for name, attempts in _queues().items():
    # Made here: the process of a lone attempt finds a service by its name in the module that has made it.
    service = Service(name)
    service.handles(event_of(name), attempts=attempts)(run)
    globals()[name] = service
