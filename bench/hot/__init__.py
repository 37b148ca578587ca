"""Programs that measure the processor time of the hot path: a task, a transaction, a message."""
