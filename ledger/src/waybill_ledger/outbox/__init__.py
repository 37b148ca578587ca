"""The outbox: rows that are to be published."""
