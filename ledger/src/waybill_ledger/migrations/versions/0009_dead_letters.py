"""The failure desk: dead letters and their groups, redrives, and what was done by whom."""

import sqlalchemy as sa
from alembic import op

from waybill_database import Instant

revision = "0009"
down_revision = "0008"

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Towards the newer schema."""
    op.create_table(
        "dead_letter_groups",
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=255), nullable=True),
        sa.Column("error_type", sa.String(length=200), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("frame", sa.String(length=200), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("first_seen", Instant(), nullable=False),
        sa.Column("last_seen", Instant(), nullable=False),
        sa.Column("sample", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("archived_at", Instant(), nullable=True),
        sa.Column("regressed_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("fingerprint"),
    )
    op.create_index("dead_letter_groups_by_last_seen", "dead_letter_groups", ["last_seen", "fingerprint"])
    op.create_table(
        "dead_letters",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("letter_key", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("queue", sa.String(length=80), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("task_id", sa.String(length=64), nullable=True),
        sa.Column("redrive_no", sa.Integer(), nullable=False),
        sa.Column("edit_no", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=255), nullable=True),
        sa.Column("dataschema", sa.String(length=255), nullable=True),
        sa.Column("correlation_id", sa.String(length=255), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("max_attempts", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("error_type", sa.String(length=200), nullable=False),
        sa.Column("error_message", sa.Text(), nullable=False),
        sa.Column("frame", sa.String(length=200), nullable=True),
        sa.Column("service_version", sa.String(length=64), nullable=True),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("errors", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("checked_against", sa.String(length=16), nullable=False),
        sa.Column("died_at", Instant(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("last_received_at", Instant(), nullable=False),
        sa.Column("deliveries", sa.Integer(), nullable=False),
        sa.Column("redrive_id", sa.BigInteger(), nullable=True),
        sa.Column("put_away_at", Instant(), nullable=True),
        sa.Column("put_away_by", sa.String(length=128), nullable=True),
        sa.Column("put_away_reason", sa.Text(), nullable=True),
        sa.Column("forget_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("letter_key"),
    )
    op.create_index("dead_letters_by_death", "dead_letters", ["died_at", "fingerprint"])
    op.create_index("dead_letters_by_group", "dead_letters", ["fingerprint", "state", "id"])
    op.create_index("dead_letters_by_state", "dead_letters", ["state", "id"])
    op.create_index("dead_letters_by_task", "dead_letters", ["task_id", "service"])
    op.create_index(
        "dead_letters_to_forget",
        "dead_letters",
        ["forget_at"],
        unique=False,
        sqlite_where=sa.text("forget_at IS NOT NULL"),
        postgresql_where=sa.text("forget_at IS NOT NULL"),
    )
    op.create_table(
        "desk_audit",
        sa.Column("seq", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("redrive_id", sa.BigInteger(), nullable=True),
        sa.Column("fingerprint", sa.String(length=32), nullable=True),
        sa.Column("letters", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("details", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("desk_audit_by_group", "desk_audit", ["fingerprint"])
    op.create_index("desk_audit_by_redrive", "desk_audit", ["redrive_id"])
    op.create_table(
        "redrives",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=True),
        sa.Column("hash", sa.String(length=64), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("selection", sa.JSON(), nullable=False),
        sa.Column("edits", sa.JSON(), nullable=False),
        sa.Column("rate", sa.Float(), nullable=False),
        sa.Column("canary", sa.Integer(), nullable=False),
        sa.Column("canary_from", sa.Integer(), nullable=False),
        sa.Column("letters", sa.Integer(), nullable=False),
        sa.Column("fingerprints", sa.JSON(), nullable=False),
        sa.Column("dry_run", sa.JSON(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("started_at", Instant(), nullable=True),
        sa.Column("started_by", sa.String(length=128), nullable=True),
        sa.Column("next_send_at", Instant(), nullable=True),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("halted_because", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "redrives_under_way",
        "redrives",
        ["started_at"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "dead_letter_messages",
        sa.Column("letter_id", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("properties", sa.JSON(), nullable=False),
        sa.Column("traceback", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["letter_id"], ["dead_letters.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("letter_id"),
    )
    op.create_table(
        "redrive_letters",
        sa.Column("redrive_id", sa.BigInteger(), nullable=False),
        sa.Column("letter_id", sa.BigInteger(), nullable=False),
        sa.Column("letter_version", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.String(length=64), nullable=True),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("effect", sa.String(length=16), nullable=False),
        sa.Column("errors", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("edited", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("skipped_because", sa.String(length=64), nullable=True),
        sa.Column("redrive_no", sa.Integer(), nullable=True),
        sa.Column("sent_at", Instant(), nullable=True),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("returned_as", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["redrive_id"], ["redrives.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("redrive_id", "letter_id"),
    )
    op.create_index("redrive_letters_by_letter", "redrive_letters", ["letter_id"])
    op.create_index("redrive_letters_by_state", "redrive_letters", ["redrive_id", "state", "letter_id"])
    op.create_table(
        "redriven_payloads",
        sa.Column("task_id", sa.String(length=36), nullable=False),
        sa.Column("queue", sa.String(length=80), nullable=False),
        sa.Column("edit_no", sa.Integer(), nullable=False),
        sa.Column("dataschema", sa.String(length=255), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", "queue"),
    )
