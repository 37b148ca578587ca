"""Programs that measure what grows: large ledgers, backlogs, outboxes, and many slots at once."""
