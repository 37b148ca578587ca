"""What a service has yet to read: the versions of contracts that something waits with."""

from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import Connection, Select, func, select

from waybill_contracts.registry import Manifest, Registry, Use
from waybill_contracts.states import State
from waybill_ledger.schema import DEAD_LETTERS, SCHEDULES, SUBTASKS, TASKS

#: What is in use is counted up to this number.
MOST_COUNTED: Final = 1000
#: Open tasks that are named.
MOST_NAMED: Final = 20
_OPEN: Final = tuple(state.value for state in State if not state.is_terminal)
#: State of a letter that may be redriven: `waybill_ledger.deadletters.LetterState`, which is above this room.
_DEAD: Final = "dead"


def uses_of(connection: Connection, registry: Registry, manifest: Manifest) -> list[Use]:
    """What waits with versions that the service has read so far, and that this release of it does not."""
    known = registry.services.get(manifest.service)
    if known is None or known.is_retired:
        return []
    return [
        use
        for kind in known.manifest.kinds
        for version in registry.kind(kind).contracts
        if version not in _reads(manifest, kind)
        for use in _uses(connection, registry, manifest.service, kind, version)
    ]


def open_subtasks(connection: Connection, service: str) -> tuple[str, ...]:
    """Ids of tasks of which the subtask of a service has no outcome, oldest first, at most `MOST_NAMED`."""
    query = (
        select(SUBTASKS.c.task_id)
        .where(SUBTASKS.c.service == service, SUBTASKS.c.state.in_(_OPEN))
        .order_by(SUBTASKS.c.task_id)
        .limit(MOST_NAMED)
    )
    return tuple(connection.scalars(query))


def _reads(manifest: Manifest, kind: str) -> Sequence[int]:
    handled = manifest.handled(kind)
    return () if handled is None else handled.reads


def _uses(connection: Connection, registry: Registry, service: str, kind: str, version: int) -> Iterator[Use]:
    contract = registry.kind(kind).contracts[version]
    tasks = (
        select(TASKS.c.id)
        .join(SUBTASKS, SUBTASKS.c.task_id == TASKS.c.id)
        .where(TASKS.c.kind == kind, TASKS.c.dataschema == contract.dataschema)
        .where(SUBTASKS.c.service == service, SUBTASKS.c.state.in_(_OPEN))
    )
    letters = select(DEAD_LETTERS.c.id).where(
        DEAD_LETTERS.c.service == service,
        DEAD_LETTERS.c.state == _DEAD,
        DEAD_LETTERS.c.kind == kind,
        DEAD_LETTERS.c.dataschema == contract.dataschema,
    )
    schedules = select(SCHEDULES.c.id).where(SCHEDULES.c.kind == kind)
    yield from _counted(connection, tasks, kind, version, "open tasks")
    yield from _counted(connection, letters, kind, version, "dead letters")
    if version == max(registry.kind(kind).contracts):
        yield from _counted(connection, schedules, kind, version, "schedules")


def _counted(
    connection: Connection, query: Select[tuple[object]], kind: str, version: int, what: str
) -> Iterator[Use]:
    found = connection.scalar(select(func.count()).select_from(query.limit(MOST_COUNTED + 1).subquery())) or 0
    if found:
        number = f"more than {MOST_COUNTED:,}" if found > MOST_COUNTED else str(found)
        yield Use(kind, version, f"{number} {what}")
