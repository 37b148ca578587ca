"""The outbox: messages that are stored, and still to be published."""
