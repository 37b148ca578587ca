"""Ids of outbox rows that SQLite gives only once."""

from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Towards the newer schema."""
    if op.get_bind().dialect.name == "sqlite":
        # It changes this only by copying the table; no other table refers to this one.
        with op.batch_alter_table(
            "outbox", recreate="always", table_kwargs={"sqlite_autoincrement": True}
        ) as outbox:
            outbox.alter_column("id", autoincrement=True)
