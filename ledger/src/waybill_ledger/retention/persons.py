"""Stored data of a person: counts only, no content."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from waybill_contracts.files import RESULTS
from waybill_contracts.states import State
from waybill_ledger.schema import (
    DEAD_LETTERS,
    IDEMPOTENCY,
    PASSWORD_RESETS,
    SCHEDULES,
    TASK_FILES,
    TASKS,
    owned_by,
)


@dataclass(frozen=True, slots=True)
class Person:
    """A person, as the ledger identifies one."""

    #: Keyed digest of the mail address.
    digest: str
    #: Owning tenant of the data; None: all tenants.
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class NamedTasks:
    """Tasks given by their ids, for data that no digest finds."""

    ids: tuple[str, ...]
    #: Tenant that must own them; None: any.
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Holdings:
    """Counts of the stored data of a person."""

    #: Number of tasks by state, without zeros.
    tasks: dict[State, int]
    #: Dead letters of these tasks, in any state.
    letters: int
    schedules: int
    #: Reset links, including used and expired ones.
    password_resets: int
    #: Idempotency keys of these tasks.
    idempotency_keys: int
    #: Uploaded files that these tasks refer to.
    originals: int


def holdings_of(connection: Connection, person: Person) -> Holdings:
    """Counts the stored data of a person."""
    by_state = select(TASKS.c.state, func.count()).where(*tasks_of(person)).group_by(TASKS.c.state)
    own = select(TASKS.c.id).where(*tasks_of(person))
    # A key has the time of its task, and an index finds it by that.
    keys = select(func.count()).select_from(
        TASKS.join(
            IDEMPOTENCY,
            and_(IDEMPOTENCY.c.created_at == TASKS.c.created_at, IDEMPOTENCY.c.reference == TASKS.c.id),
        )
    )
    return Holdings(
        tasks={State(row[0]): row[1] for row in connection.execute(by_state)},
        letters=_number(connection, _count(DEAD_LETTERS.c.task_id.in_(own))),
        schedules=_number(connection, _count(*schedules_of(person))),
        password_resets=_number(connection, _count(PASSWORD_RESETS.c.task_id.in_(own))),
        idempotency_keys=_number(connection, keys.where(*tasks_of(person))),
        originals=_number(
            connection,
            select(func.count(TASK_FILES.c.key.distinct())).where(
                TASK_FILES.c.task_id.in_(own), TASK_FILES.c.key.not_like(f"{RESULTS}/%")
            ),
        ),
    )


def tasks_of(target: Person | NamedTasks) -> list[ColumnElement[bool]]:
    """Conditions on `TASKS`; erased tasks do not match."""
    if isinstance(target, Person):
        return [TASKS.c.person == target.digest, *owned_by(target.tenant, TASKS.c.tenant)]
    return [
        TASKS.c.id.in_(target.ids),
        TASKS.c.erased_at.is_(None),
        *owned_by(target.tenant, TASKS.c.tenant),
    ]


def schedules_of(person: Person) -> list[ColumnElement[bool]]:
    """Conditions on `SCHEDULES`; they are few and need no index."""
    return [SCHEDULES.c.person == person.digest, *owned_by(person.tenant, SCHEDULES.c.tenant)]


def _count(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(func.count()).where(*conditions)


def _number(connection: Connection, query: Select[Any]) -> int:
    return connection.scalar(query) or 0
