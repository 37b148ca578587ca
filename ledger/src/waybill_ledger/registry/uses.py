"""What a service has yet to do, and to read: the versions of contracts that something waits with."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select

from waybill_contracts.registry import Contract, Manifest, Registry, Use
from waybill_contracts.states import State
from waybill_ledger.schema import DEAD_LETTERS, SCHEDULES, SUBTASKS, TASKS

#: What is in use is counted up to this number.
MOST_COUNTED: Final = 1000
#: Open tasks that are named.
MOST_NAMED: Final = 20
_OPEN: Final = tuple(state.value for state in State if not state.is_terminal)
#: State of a letter that may be redriven: `waybill_ledger.deadletters.LetterState`, which is above this room.
_DEAD: Final = "dead"


@dataclass(frozen=True, slots=True)
class WorkLeft:
    """What a service has yet to do."""

    #: The oldest tasks of which its subtask has no outcome, at most `MOST_NAMED`.
    task_ids: tuple[str, ...]
    #: How many there are; one more than `MOST_COUNTED` stands for all that are more.
    tasks: int
    #: Schedules of kinds that no other service handles.
    schedules: int

    def __bool__(self) -> bool:
        return bool(self.tasks or self.schedules)

    def __str__(self) -> str:
        parts = [
            told(number, what)
            for number, what in ((self.tasks, "open task"), (self.schedules, "schedule"))
            if number
        ]
        return " and ".join(parts) or "nothing"


def uses_of(connection: Connection, registry: Registry, manifest: Manifest) -> list[Use]:
    """What waits with versions that the service has read so far, and that this release of it does not."""
    known = registry.services.get(manifest.service)
    if known is None or known.is_retired:
        return []
    return [
        use
        for kind in known.manifest.kinds
        for version in registry.kind(kind).contracts
        if version not in manifest.reads(kind)
        for use in _uses(connection, registry, manifest.service, kind, version)
    ]


def work_left(connection: Connection, registry: Registry, service: str, tenant: str | None) -> WorkLeft:
    """What keeps a service from being retired: tasks, and schedules of kinds that nobody else handles.

    Args:
        connection: to the ledger.
        registry: as it is.
        service: handles its kinds, or did so once.
        tenant: whose tasks are named; None: those of all tenants.
    """
    handled = [kind for kind in registry.kinds.values() if any(service in r.services for r in kind.routes)]
    found: list[tuple[str, str]] = []
    for contract in (each for kind in handled for each in kind.contracts.values()):
        query = open_tasks(service, contract).limit(MOST_COUNTED + 1)
        found += [(row.id, row.tenant) for row in connection.execute(query)]
        if len(found) > MOST_COUNTED:
            break
    named = sorted(task_id for task_id, owner in found if tenant in {None, owner})
    alone = [kind.name for kind in handled if kind.routes[-1].services == (service,)]
    schedules = select(func.count()).select_from(SCHEDULES).where(SCHEDULES.c.kind.in_(alone))
    return WorkLeft(tuple(named[:MOST_NAMED]), len(found), connection.scalar(schedules) or 0)


def open_tasks(service: str, contract: Contract) -> Select[tuple[str, str]]:
    """Id and tenant of each task with data of a contract of which a service has yet to do its subtask.

    They are in the order of their ids: so the index `tasks_open_by_contract` leads to them, however many
    others there are.
    """
    # A join would have PostgreSQL read all subtasks where it expects many.
    state = (
        select(SUBTASKS.c.state)
        .where(SUBTASKS.c.task_id == TASKS.c.id, SUBTASKS.c.service == service)
        .scalar_subquery()
    )
    return (
        select(TASKS.c.id, TASKS.c.tenant)
        .where(TASKS.c.dataschema == contract.dataschema, TASKS.c.completed_at.is_(None))
        .where(state.in_(_OPEN))
        .order_by(TASKS.c.id)
    )


def dead_letters(service: str) -> Select[tuple[int]]:
    """Ids of the dead letters of a service that may be redriven."""
    return select(DEAD_LETTERS.c.id).where(DEAD_LETTERS.c.service == service, DEAD_LETTERS.c.state == _DEAD)


def told(number: int, what: str) -> str:
    """A number of things that were counted up to `MOST_COUNTED`."""
    return (
        f"more than {MOST_COUNTED:,} {what}s"
        if number > MOST_COUNTED
        else f"{number} {what}{'s' * (number != 1)}"
    )


def count(connection: Connection, query: Select[Any]) -> int:
    """Number of rows of a query; one more than `MOST_COUNTED` stands for all that are more."""
    return connection.scalar(select(func.count()).select_from(query.limit(MOST_COUNTED + 1).subquery())) or 0


def _uses(connection: Connection, registry: Registry, service: str, kind: str, version: int) -> Iterator[Use]:
    contract = registry.kind(kind).contracts[version]
    letters = dead_letters(service).where(
        DEAD_LETTERS.c.kind == kind, DEAD_LETTERS.c.dataschema == contract.dataschema
    )
    waiting: list[tuple[str, Select[Any]]] = [
        ("open task", open_tasks(service, contract)),
        ("dead letter", letters),
    ]
    if version == max(registry.kind(kind).contracts):
        waiting.append(("schedule", select(SCHEDULES.c.id).where(SCHEDULES.c.kind == kind)))
    for what, query in waiting:
        if number := count(connection, query):
            yield Use(kind, version, told(number, what))
