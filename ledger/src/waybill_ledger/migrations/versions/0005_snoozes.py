"""Snoozes of an attempt: their number in positions, timeline and outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

#: Where the attempt stood in a position, and where it stands now; the outcome above and the step below stay.
_OUTCOME, _OLD_ATTEMPT, _NEW_ATTEMPT = 1 << 36, 1 << 4, 1 << 16


def _snooze_no() -> sa.Column[int]:
    return sa.Column("snooze_no", sa.Integer(), server_default="0", nullable=False)


def upgrade() -> None:
    """Towards the newer schema."""
    op.add_column("outbox", _snooze_no())
    # SQLite changes a constraint only by copying the table.
    with op.batch_alter_table("timeline") as timeline:
        timeline.add_column(_snooze_no())
        timeline.drop_constraint("timeline_one_fact", type_="unique")
        timeline.create_unique_constraint(
            "timeline_one_fact", ["task_id", "service", "redrive_no", "attempt", "snooze_no", "type"]
        )
    subtasks = sa.table("subtasks", sa.column("position", sa.BigInteger))
    position = subtasks.c.position
    outcome = position - position % _OUTCOME
    step = position % _OLD_ATTEMPT
    attempt = (position % _OUTCOME - step) // _OLD_ATTEMPT
    op.execute(sa.update(subtasks).values(position=outcome + attempt * _NEW_ATTEMPT + step))
