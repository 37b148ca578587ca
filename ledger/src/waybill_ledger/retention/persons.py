"""What is held of a person: how much of what, and never what it says."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from waybill_contracts.wire.states import State
from waybill_ledger.schema.desk_tables import DEAD_LETTERS
from waybill_ledger.schema.tables import IDEMPOTENCY, PASSWORD_RESETS, SCHEDULES, TASK_FILES, TASKS
from waybill_ledger.schema.tenants import owned_by


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, as the ledger knows persons."""

    #: The keyed digest of the mail address.
    digest: str
    #: Of whose data; None: of everybody's.
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class NamedTasks:
    """Tasks that somebody names: nobody knows whom they are about, but somebody does."""

    ids: tuple[str, ...]
    #: Whose they must be; None: anybody's.
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Holdings:
    """How much is held of a person."""

    #: How many tasks are in each state, if any are.
    tasks: dict[State, int]
    #: Dead letters of these tasks, whatever their state.
    letters: int
    schedules: int
    #: Reset links, used ones and those that ran out included.
    password_resets: int
    #: Idempotency keys that these tasks were posted with.
    idempotency_keys: int
    #: Uploaded files that these tasks refer to.
    originals: int


def holdings_of(connection: Connection, person: Person) -> Holdings:
    """Counts what is held of a person."""
    by_state = select(TASKS.c.state, func.count()).where(*tasks_of(person)).group_by(TASKS.c.state)
    own = select(TASKS.c.id).where(*tasks_of(person))
    # A key was taken in the moment in which its task was accepted, and an index finds it by that.
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
            connection, select(func.count(TASK_FILES.c.key.distinct())).where(TASK_FILES.c.task_id.in_(own))
        ),
    )


def tasks_of(whose: Person | NamedTasks) -> list[ColumnElement[bool]]:
    """Conditions on `TASKS`, which none fits any more that was erased."""
    if isinstance(whose, Person):
        return [TASKS.c.person == whose.digest, *owned_by(whose.tenant, TASKS.c.tenant)]
    return [
        TASKS.c.id.in_(whose.ids),
        TASKS.c.erased_at.is_(None),
        *owned_by(whose.tenant, TASKS.c.tenant),
    ]


def schedules_of(person: Person) -> list[ColumnElement[bool]]:
    """Conditions on `SCHEDULES`, of which there are so few that they need no index."""
    return [SCHEDULES.c.person == person.digest, *owned_by(person.tenant, SCHEDULES.c.tenant)]


def _count(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(func.count()).where(*conditions)


def _number(connection: Connection, query: Select[Any]) -> int:
    return connection.scalar(query) or 0
