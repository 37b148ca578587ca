"""The history of the schema, and the upgrade of a ledger to the newest one."""
