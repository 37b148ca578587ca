"""Runs handlers for the tasks of a gateway in memory."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from waybill.definition import Service
from waybill.errors import PermanentError
from waybill.testing.handler_run import run_handler
from waybill.testing.memory_tasks import MemoryTask, MemoryTasks, ParentTask
from waybill_contracts.states import State


async def run_waiting(
    store: MemoryTasks,
    services: Sequence[Service[Any]],
    resources: Mapping[str, Any],
    uploads: Mapping[str, bytes],
    *,
    scheduled: bool,
) -> list[MemoryTask]:
    """Runs the handlers of all tasks that wait, and of those that they spawn; see `MemoryGateway`."""
    ran: list[MemoryTask] = []
    runs_in = {State.PENDING, State.SCHEDULED} if scheduled else {State.PENDING}
    while waiting := [task for task in store.tasks.values() if task.state in runs_in and task not in ran]:
        for task in waiting:
            for service in services:
                if task.kind in {event.KIND for event in service.events}:
                    await _run(store, task, service, resources, uploads)
            ran.append(task)
    return [task for task in ran if task.is_ended]


async def _run(
    store: MemoryTasks,
    task: MemoryTask,
    service: Service[Any],
    resources: Mapping[str, Any],
    uploads: Mapping[str, bytes],
) -> None:
    [event] = (each for each in service.events if task.kind == each.KIND)
    sent = event.model_validate_json(json.dumps(task.data))
    task.happened("task.started", service.name)
    try:
        run = await run_handler(service, sent, resources=resources.get(service.name), files=uploads)
    except PermanentError as error:
        task.state = State.FAILED
        task.errors[service.name] = {"type": type(error).__name__, "message": str(error)}
        task.happened("task.dead", service.name)
        return
    task.results[service.name] = run.result
    task.happened("task.completed", service.name)
    task.files |= {(service.name, name): content for name, content in run.files.items()}
    if task.state is not State.FAILED:
        task.state = State.COMPLETED
    for spawned in run.spawned:
        store.add(
            MemoryTask(
                spawned.event.KIND,
                spawned.event.event_data(),
                version=spawned.event.VERSION,
                priority=spawned.priority,
                parent=ParentTask(task.id, service.name),
            )
        )
