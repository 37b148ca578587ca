"""Rows of the application outbox as they are written: checked by the contract, without any database."""

from waybill.outbox.rows.databases import DialectName, checked_database
from waybill.outbox.rows.row import NewRow, OutboxError, made_at, new_row
from waybill.outbox.rows.statement import (
    CHANNEL,
    INSERT,
    INSERT_AND_NOTIFY,
    LOCK,
    insert_for,
    values_of,
)

__all__ = [
    "CHANNEL",
    "INSERT",
    "INSERT_AND_NOTIFY",
    "LOCK",
    "DialectName",
    "NewRow",
    "OutboxError",
    "checked_database",
    "insert_for",
    "made_at",
    "new_row",
    "values_of",
]
