"""Registry of kinds and services; whether the payload of a task is deleted after completion."""

import sqlalchemy as sa
from alembic import op

from waybill_database import Instant

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Towards the newer schema."""
    op.create_table(
        "contracts",
        sa.Column("kind", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("secret", sa.Boolean(), nullable=False),
        sa.Column("registered_at", Instant(), nullable=False),
    )
    op.create_table(
        "kinds",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
    )
    op.create_table(
        "routes",
        sa.Column("kind", sa.String(64), primary_key=True),
        sa.Column("generation", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("routing_key", sa.String(255), nullable=False),
        sa.Column("services", sa.JSON(), nullable=False),
        sa.Column("declared_at", Instant()),
        sa.UniqueConstraint("routing_key"),
    )
    op.create_table(
        "services",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("registered_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("updated_by", sa.String(128)),
        sa.Column("retired_at", Instant()),
    )
    registry = op.create_table(
        "registry",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("revision", sa.Integer(), nullable=False),
    )
    op.bulk_insert(registry, [{"id": 1, "revision": 0}])
    # NULL: accepted by a release that did not write it.
    op.add_column("tasks", sa.Column("secret", sa.Boolean()))
