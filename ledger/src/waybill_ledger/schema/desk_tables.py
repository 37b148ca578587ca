"""The tables of the failure desk, and of the audit trail."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    text,
)

from waybill_database import Instant
from waybill_ledger.schema.tables import METADATA, OF_TENANTS, SERIAL, tenant_column

_FINGERPRINT = String(32)
#: The conditions of partial indexes.
_TO_FORGET, _UNDER_WAY = text("forget_at IS NOT NULL"), text("ended_at IS NULL")
_OF_SUBJECT = text("subject IS NOT NULL")

DEAD_LETTERS = Table(
    "dead_letters",
    METADATA,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    tenant_column(nullable=True),
    # (service, task, redrive_no), or queue and content where no envelope can be read: one letter, one row.
    Column("letter_key", String(255), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column(
        "version", Integer, nullable=False
    ),  # rises with each change of state; a plan keeps the one it saw
    Column("queue", String(80), nullable=False),
    Column("service", String(64), nullable=False),
    Column("task_id", String(64)),
    Column("redrive_no", Integer, nullable=False),
    Column("edit_no", Integer, nullable=False),
    Column("kind", String(255)),
    Column("dataschema", String(255)),
    Column("correlation_id", String(255)),
    Column("attempt", Integer),
    Column("max_attempts", Integer),
    Column("reason", String(32), nullable=False),
    Column("error_type", String(200), nullable=False),
    Column("error_message", Text, nullable=False),
    Column("frame", String(200)),
    Column("service_version", String(64)),
    Column("fingerprint", _FINGERPRINT, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("errors", JSON(none_as_null=True)),
    Column("checked_against", String(16), nullable=False),  # version of the contracts
    Column("died_at", Instant, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("last_received_at", Instant, nullable=False),
    Column("deliveries", Integer, nullable=False),  # deliveries by the broker
    Column("redrive_id", BigInteger),  # started redrive that still has to send it
    Column("put_away_at", Instant),
    Column("put_away_by", String(128)),
    Column("put_away_reason", Text),
    Column("forget_at", Instant),  # when it is pruned; NULL while it is open
    Index("dead_letters_by_state", "state", "id"),
    Index(
        "dead_letters_of_tenant",
        "tenant",
        "state",
        "id",
        sqlite_where=OF_TENANTS,
        postgresql_where=OF_TENANTS,
    ),
    Index("dead_letters_by_group", "fingerprint", "state", "id"),
    Index("dead_letters_by_death", "died_at", "fingerprint"),
    Index("dead_letters_by_task", "task_id", "service"),
    Index(
        "dead_letters_to_forget",
        "forget_at",
        sqlite_where=_TO_FORGET,
        postgresql_where=_TO_FORGET,
    ),
)
#: Large columns that are seldom read, apart, so that listings and plans do not read past them.
DEAD_LETTER_MESSAGES = Table(
    "dead_letter_messages",
    METADATA,
    Column("letter_id", BigInteger, ForeignKey("dead_letters.id", ondelete="CASCADE"), primary_key=True),
    Column("body", LargeBinary),  # byte for byte; NULL once a kind with secrets is completed
    Column("headers", JSON, nullable=False),  # see `amqp_json`
    Column("properties", JSON, nullable=False),
    Column("traceback", Text),
)
DEAD_LETTER_GROUPS = Table(
    "dead_letter_groups",
    METADATA,
    Column("fingerprint", _FINGERPRINT, primary_key=True),
    tenant_column(nullable=True),
    Column("service", String(64), nullable=False),
    Column("kind", String(255)),
    Column("error_type", String(200), nullable=False),
    Column("message", Text, nullable=False),  # normalised, without details
    Column("frame", String(200)),
    Column("total", Integer, nullable=False),
    Column("first_seen", Instant, nullable=False),
    Column("last_seen", Instant, nullable=False),
    Column("sample", BigInteger, nullable=False),  # latest letter
    Column("note", Text),
    Column("archived_at", Instant),
    Column("regressed_at", Instant),
    Index("dead_letter_groups_by_last_seen", "last_seen", "fingerprint"),
)
REDRIVES = Table(
    "redrives",
    METADATA,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    tenant_column(nullable=True),
    Column("state", String(16), nullable=False),
    Column("phase", String(16)),
    Column("hash", String(64)),  # SHA-256 of the exact set: letters, versions, edits
    Column("note", Text),
    Column("selection", JSON, nullable=False),
    Column("edits", JSON, nullable=False),
    Column("rate", Float, nullable=False),
    Column("canary", Integer, nullable=False),
    Column("canary_from", Integer, nullable=False),  # letters sent when the canary began
    Column("letters", Integer, nullable=False),
    Column("fingerprints", JSON, nullable=False),  # of its letters: errors that halt it if they come back
    Column("dry_run", JSON),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("started_at", Instant),
    Column("started_by", String(128)),
    Column("next_send_at", Instant),  # keeps the rate, whichever process sends
    Column("ended_at", Instant),  # when no letter of it waits or is on its way
    Column("halted_because", Text),
    Index("redrives_under_way", "started_at", sqlite_where=_UNDER_WAY, postgresql_where=_UNDER_WAY),
)
REDRIVE_LETTERS = Table(
    "redrive_letters",
    METADATA,
    Column("redrive_id", BigInteger, ForeignKey("redrives.id", ondelete="CASCADE"), primary_key=True),
    Column("letter_id", BigInteger, primary_key=True),
    Column("letter_version", Integer, nullable=False),
    Column("task_id", String(64)),
    Column("service", String(64), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("effect", String(16), nullable=False),
    Column("errors", JSON(none_as_null=True)),  # of its edit
    Column("edited", LargeBinary),  # payload that is sent instead …
    Column("edited_dataschema", String(255)),  # … and its contract and version; NULL: those of the letter
    Column("state", String(16), nullable=False),
    Column("skipped_because", String(64)),
    Column("redrive_no", Integer),
    Column("sent_at", Instant),
    Column("ended_at", Instant),
    Column("returned_as", BigInteger),  # letter that it came back as
    Index("redrive_letters_by_state", "redrive_id", "state", "letter_id"),
    Index("redrive_letters_by_letter", "letter_id"),
)
DESK_AUDIT = Table(
    "desk_audit",
    METADATA,
    Column("seq", SERIAL, primary_key=True, autoincrement=True),
    tenant_column(nullable=True),
    Column("at", Instant, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("action", String(32), nullable=False),
    Column("redrive_id", BigInteger),
    Column("fingerprint", _FINGERPRINT),
    Column("letters", Integer),  # number of letters concerned
    Column("reason", Text),
    Column("details", JSON(none_as_null=True)),
    Column("subject", String(64)),  # id of the task or schedule that was revealed
    Index("desk_audit_by_redrive", "redrive_id"),
    Index("desk_audit_by_group", "fingerprint"),
    Index("desk_audit_by_subject", "subject", "seq", sqlite_where=_OF_SUBJECT, postgresql_where=_OF_SUBJECT),
)
