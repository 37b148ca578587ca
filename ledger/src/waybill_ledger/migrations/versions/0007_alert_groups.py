"""Kinds of failure that were reported to the operators, and counts for the next digest."""

import sqlalchemy as sa
from alembic import op

from waybill_database import Instant

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Towards the newer schema."""
    op.create_table(
        "alert_groups",
        sa.Column("fingerprint", sa.String(32), primary_key=True),
        sa.Column("sample", sa.JSON(), nullable=False),
        sa.Column("last_at", Instant(), nullable=False),
        sa.Column("untold", sa.Integer(), nullable=False),
        sa.Column("told_at", Instant()),
    )
    op.create_index("alert_groups_by_last", "alert_groups", ["last_at"])
    window = op.create_table(
        "alert_window",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("begins_at", Instant()),
        sa.Column("ends_at", Instant()),
        sa.Column("told_at_once", sa.Integer(), nullable=False),
        sa.Column("digests", sa.Integer(), nullable=False),
    )
    op.bulk_insert(window, [{"id": 1, "told_at_once": 0, "digests": 0}])
