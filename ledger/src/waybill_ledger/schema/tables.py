"""The tables of the ledger. Migrations are in `migrations/`; a test holds the two together."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from waybill_database import Instant
from waybill_ledger.schema.tenants import DEFAULT_TENANT

METADATA = MetaData()

#: SQLite numbers rows by itself only in a column of exactly this type.
SERIAL = BigInteger().with_variant(Integer, "sqlite")
_TASK_ID = String(36)
#: Keyed digest of a mail address (`waybill_ledger.Persons`): finds the tasks of a person.
_PERSON = String(32)
#: The conditions of partial indexes.
_EXPECTED = text("expected_at IS NOT NULL")
_OF_PERSON = text("person IS NOT NULL")
_BY_SCHEDULE = text("schedule_id IS NOT NULL")
_SPAWNED = text("parent_id IS NOT NULL")
_WITHOUT_OUTCOME = text("completed_at IS NULL")
#: SQLite uses such an index only for a query with the same text, and SQLAlchemy writes it this way.
_HELD: dict[str, Any] = {"postgresql_where": text("held"), "sqlite_where": text("held = 1")}
_NOT_HELD: dict[str, Any] = {"postgresql_where": text("NOT held"), "sqlite_where": text("held = 0")}
_UNUSED = text("tasks = 0")
#: As text, because SQLite matches a query to a partial index by its text.
BEING_REMOVED = text("removing")


def tenant_column(*, nullable: bool = False) -> Column[str]:
    """Owning tenant; NULL if unknown, or if the row concerns all tenants."""
    return Column("tenant", String(63), nullable=nullable, server_default=DEFAULT_TENANT)


#: Condition of the indexes for other tenants. Most installations have the default one only, and its listings
#: use the indexes on all rows.
OF_TENANTS = text(f"tenant <> '{DEFAULT_TENANT}'")

TASKS = Table(
    "tasks",
    METADATA,
    Column("id", _TASK_ID, primary_key=True),
    tenant_column(),
    Column("kind", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("due_at", Instant),  # when it was to begin; NULL: at once
    Column("completed_at", Instant),
    Column("deadline", Instant),
    Column("cancel_requested_at", Instant),
    Column("correlation_id", String(128), nullable=False),
    Column("traceparent", String(64)),
    Column("priority", Integer),
    Column("about", String(512), nullable=False),  # subject for people, mail address masked
    Column("person", _PERSON),
    # The schedule and the slot that it was made for; the schedule may be deleted.
    Column("schedule_id", String(36)),
    Column("slot_at", Instant),
    # The task and the service whose handler spawned it; the task may be pruned.
    Column("parent_id", _TASK_ID),
    Column("parent_service", String(64)),
    Column("dataschema", String(128), nullable=False),
    Column("payload", LargeBinary),  # NULL once erased, or once completed if its kind holds secrets
    Column("erased_at", Instant),  # when its personal data was erased: see `retention.erasure`
    # Whether the payload is deleted once the task is completed; NULL: of a release without this column.
    Column("secret", Boolean),
    Index("tasks_by_state", "state", "id"),
    Index("tasks_by_person", "person", "id", sqlite_where=_OF_PERSON, postgresql_where=_OF_PERSON),
    Index("tasks_by_kind", "kind", "id"),
    Index("tasks_by_parent", "parent_id", "id", sqlite_where=_SPAWNED, postgresql_where=_SPAWNED),
    # Whether a version of a contract is still in use, however many tasks have ended and others have not.
    Index(
        "tasks_open_by_contract",
        "dataschema",
        "id",
        sqlite_where=_WITHOUT_OUTCOME,
        postgresql_where=_WITHOUT_OUTCOME,
    ),
    Index("tasks_by_creation", "created_at", "state", "kind"),  # all that counting reads
    # A slot is released once, whichever process releases it.
    Index(
        "tasks_by_slot",
        "schedule_id",
        "slot_at",
        unique=True,
        sqlite_where=_BY_SCHEDULE,
        postgresql_where=_BY_SCHEDULE,
    ),
    Index("tasks_by_schedule", "schedule_id", "id", sqlite_where=_BY_SCHEDULE, postgresql_where=_BY_SCHEDULE),
    Index("tasks_of_tenant", "tenant", "id", sqlite_where=OF_TENANTS, postgresql_where=OF_TENANTS),
    Index(
        "tasks_of_tenant_by_state",
        "tenant",
        "state",
        "id",
        sqlite_where=OF_TENANTS,
        postgresql_where=OF_TENANTS,
    ),
    Index(
        "tasks_of_tenant_by_creation",
        "tenant",
        "created_at",
        "state",
        "kind",
        sqlite_where=OF_TENANTS,
        postgresql_where=OF_TENANTS,
    ),
)
SUBTASKS = Table(
    "subtasks",
    METADATA,
    Column("task_id", _TASK_ID, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("service", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("position", BigInteger, nullable=False),  # see `progress.states.position`
    Column("redrive_no", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),  # 0: none has begun
    Column("max_attempts", Integer),
    Column("next_attempt_at", Instant),
    Column("updated_at", Instant, nullable=False),
    # When its next heartbeat is due; NULL once it has an outcome, and while it is held in the outbox.
    Column("expected_at", Instant),
    # How often it was put back since its last heartbeat.
    Column("reconciled", Integer, nullable=False, server_default="0"),
    Column("result", JSON(none_as_null=True)),
    Column("error", JSON(none_as_null=True)),
    Index("subtasks_by_service", "service", "task_id"),
    # Subtasks without an outcome only: the reconciler scans these, however many have ended.
    Index(
        "subtasks_by_expectation",
        "expected_at",
        sqlite_where=_EXPECTED,
        postgresql_where=_EXPECTED,
    ),
)
TIMELINE = Table(
    "timeline",
    METADATA,
    Column("seq", SERIAL, primary_key=True, autoincrement=True),
    Column("task_id", _TASK_ID, ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
    Column("service", String(64), nullable=False),
    Column("redrive_no", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("snooze_no", Integer, nullable=False, server_default="0"),
    Column("type", String(32), nullable=False),
    Column("at", Instant, nullable=False),
    Column("details", JSON(none_as_null=True)),
    # One row for each fact, however often it is reported.
    UniqueConstraint(
        "task_id", "service", "redrive_no", "attempt", "snooze_no", "type", name="timeline_one_fact"
    ),
    # SQLite would give numbers of pruned rows again, and who follows the timeline would miss new ones.
    sqlite_autoincrement=True,
)
OUTBOX = Table(
    "outbox",
    METADATA,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("task_id", _TASK_ID, ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
    Column("exchange", String(64), nullable=False),
    Column("routing_key", String(255), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("snooze_no", Integer, nullable=False, server_default="0"),  # snoozes of that attempt
    Column("redrive_no", Integer, nullable=False),
    Column("available_at", Instant, nullable=False),  # when the relay may publish it
    # Low work that goes out only when the queues of its services are short: see `outbox.held_work`.
    Column("held", Boolean, nullable=False, server_default=false()),
    Index("outbox_by_availability", "available_at", **_NOT_HELD),
    Index("outbox_held", "routing_key", "available_at", **_HELD),
    Index("outbox_by_task", "task_id"),
    # SQLite would give the id of a deleted row to the next one, and who confirms late would delete that.
    sqlite_autoincrement=True,
)
SCHEDULES = Table(
    "schedules",
    METADATA,
    Column("id", String(36), primary_key=True),
    tenant_column(),
    Column("name", String(100), nullable=False, unique=True),  # see `tenants.qualified`
    Column("kind", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),  # JSON as posted to the route of the kind, sealed
    Column("about", String(512), nullable=False),  # of its tasks
    Column("person", _PERSON),  # of its tasks
    Column("cron", String(100)),
    Column("every_seconds", Integer),  # one of the two
    Column("timezone", String(64), nullable=False),
    Column("starts_at", Instant),
    Column("ends_at", Instant),
    Column("missed", String(16), nullable=False),
    Column("missed_limit", Integer, nullable=False),
    Column("priority", Integer),
    Column("paused", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column(
        "next_at", Instant
    ),  # the slot that is released next; none while it is paused, and when it is over
    Column("last_slot_at", Instant),
    Column("error", Text),  # why it was paused by us
    Index("schedules_by_next_slot", "next_at"),
)
#: Payload that redrives of one subtask send instead of the task's: it was edited, or comes from a letter.
REDRIVEN_PAYLOADS = Table(
    "redriven_payloads",
    METADATA,
    Column("task_id", _TASK_ID, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("queue", String(80), primary_key=True),  # the work queue of its service
    Column("edit_no", Integer, nullable=False),
    Column("dataschema", String(255), nullable=False),
    Column("payload", LargeBinary, nullable=False),
)
IDEMPOTENCY = Table(
    "idempotency",
    METADATA,
    Column("scope", String(128), primary_key=True),  # the call that the key was given to
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),  # keyed digest of the content of the request
    Column(
        "reference", String(64), nullable=False
    ),  # what the first call created: id of a task, hash of a token
    Column("created_at", Instant, nullable=False),
    Index("idempotency_by_creation", "created_at"),
)
PASSWORD_RESETS = Table(
    "password_resets",
    METADATA,
    Column("token_hash", String(64), primary_key=True),
    tenant_column(),
    Column("task_id", _TASK_ID, nullable=False),
    Column("email", String(254), nullable=False),  # empty where it is sealed
    Column("sealed_email", Text),  # JSON, sealed for the hash of the token; NULL in old rows
    Column("expires_at", Instant, nullable=False),
    Column("redeemed_at", Instant),
    Index("password_resets_by_expiry", "expires_at"),
    Index("password_resets_by_task", "task_id"),
)
#: Files in the object store, so that one is removed only when no task refers to it: see `files.uses`. The
#: table has its name from when there were only pictures.
FILES = Table(
    "originals",
    METADATA,
    Column("key", String(255), primary_key=True),  # in the object store
    Column("tasks", Integer, nullable=False),  # number of tasks that refer to it
    Column("touched_at", Instant, nullable=False),  # when it was last uploaded, used, released or marked
    Column("removing", Boolean, nullable=False, server_default=false()),  # no task may begin to use it now
    Column("removing_by", String(32)),  # owner of the mark; NULL: of the last release
    # From then on tasks may refer to it. NULL: its upload has begun, or it is of the last release.
    Column("stored_at", Instant),
    Index("originals_unused", "touched_at", sqlite_where=_UNUSED, postgresql_where=_UNUSED),
    Index("originals_marked", "touched_at", sqlite_where=BEING_REMOVED, postgresql_where=BEING_REMOVED),
)
#: The files that each task refers to.
TASK_FILES = Table(
    "task_files",
    METADATA,
    Column("task_id", _TASK_ID, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String(255), primary_key=True),
)
#: Outcomes of pruned tasks, so that accounts still add up.
PRUNED = Table(
    "pruned",
    METADATA,
    Column("day", Instant, primary_key=True),  # the beginning of the day, UTC, on which they were accepted
    Column("kind", String(64), primary_key=True),
    Column("state", String(16), primary_key=True),
    Column("tasks", Integer, nullable=False),
)
#: Outcomes of pruned tasks of all tenants but the default one.
PRUNED_OF_TENANTS = Table(
    "pruned_of_tenants",
    METADATA,
    Column("day", Instant, primary_key=True),
    Column("tenant", String(63), primary_key=True),
    Column("kind", String(64), primary_key=True),
    Column("state", String(16), primary_key=True),
    Column("tasks", Integer, nullable=False),
)
#: One row for each kind of failure that was or will be reported to the operators.
ALERT_GROUPS = Table(
    "alert_groups",
    METADATA,
    Column("fingerprint", String(32), primary_key=True),
    Column("sample", JSON, nullable=False),  # the latest failure, as a mail shows it
    Column("last_at", Instant, nullable=False),
    Column("untold", Integer, nullable=False),  # failures for the next digest
    Column("told_at", Instant),
    Index("alert_groups_by_last", "last_at"),
)
#: One row, always.
ALERT_WINDOW = Table(
    "alert_window",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("begins_at", Instant),  # NULL: no window is open
    Column("ends_at", Instant),
    Column("told_at_once", Integer, nullable=False),  # new kinds mailed at once in this window
    Column("digests", Integer, nullable=False),  # digests in a row
)
