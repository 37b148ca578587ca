"""Pruning of finished tasks: counts of their outcomes, and references of files to tasks."""

import json

import sqlalchemy as sa
from alembic import op

from waybill_database import Instant

revision = "0010"
down_revision = "0009"

_UNUSED = sa.text("tasks = 0")


def upgrade() -> None:
    """Towards the newer schema."""
    op.create_table(
        "pruned",
        sa.Column("day", Instant(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("tasks", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "kind", "state"),
    )
    op.create_index("password_resets_by_expiry", "password_resets", ["expires_at"])
    originals = op.create_table(
        "originals",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("tasks", sa.Integer(), nullable=False),
        sa.Column("touched_at", Instant(), nullable=False),
        sa.Column("removing", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index(
        "originals_unused", "originals", ["touched_at"], sqlite_where=_UNUSED, postgresql_where=_UNUSED
    )
    task_files = op.create_table(
        "task_files",
        sa.Column("task_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", "key"),
    )
    _find_files(originals, task_files)


def _find_files(originals: sa.Table, task_files: sa.Table) -> None:
    """What older releases have uploaded; their payloads are read, which nothing else needs to do."""
    connection = op.get_bind()
    tasks = sa.table(
        "tasks", sa.column("id"), sa.column("kind"), sa.column("payload"), sa.column("created_at")
    )
    query = sa.select(tasks.c.id, tasks.c.payload).where(
        tasks.c.kind == "image.uploaded", tasks.c.payload.is_not(None)
    )
    found = [
        {"task_id": row.id, "key": json.loads(row.payload)["source_key"]} for row in connection.execute(query)
    ]
    if not found:
        return
    connection.execute(task_files.insert(), found)
    counted = sa.select(
        task_files.c.key, sa.func.count(), sa.func.max(tasks.c.created_at), sa.false()
    ).join_from(task_files, tasks, tasks.c.id == task_files.c.task_id)
    connection.execute(
        originals.insert().from_select(
            ["key", "tasks", "touched_at", "removing"], counted.group_by(task_files.c.key)
        )
    )
