"""Cancellations that go to the services with a part in the task, no longer to all."""

from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Towards the newer schema."""
    # One message a service instead of one for all. The exchange of before stays at the broker, unused.
    op.execute(
        """
        INSERT INTO outbox (task_id, exchange, routing_key, attempt, redrive_no, snooze_no, available_at)
        SELECT o.task_id, 'cancellations', s.service, 1, 0, 0, o.available_at
        FROM outbox o JOIN subtasks s ON s.task_id = o.task_id
        WHERE o.exchange = 'control' AND s.state NOT IN ('completed', 'failed', 'cancelled')
        """
    )
    op.execute("DELETE FROM outbox WHERE exchange = 'control'")
