"""Rows of the application outbox as they are written: checked by the contract, without any database."""

from waybill.outbox.rows.row import NewRow, OutboxError, Priority, made_at, new_row
from waybill.outbox.rows.statement import CHANNEL, INSERT, INSERT_AND_NOTIFY, values_of

__all__ = [
    "CHANNEL",
    "INSERT",
    "INSERT_AND_NOTIFY",
    "NewRow",
    "OutboxError",
    "Priority",
    "made_at",
    "new_row",
    "values_of",
]
