"""Alembic's entry: migrates on the connection of `waybill_ledger.migrations.migrate`, or writes SQL."""

from alembic import context

from waybill_ledger.schema import METADATA

if context.is_offline_mode():
    context.configure(
        dialect_name="postgresql",
        target_metadata=METADATA,
        literal_binds=True,
        transaction_per_migration=True,
    )
else:
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=METADATA,
        # SQLite changes a table by rewriting it.
        render_as_batch=True,
        # Each migration is there or it is not; what it locks is free again before the next one begins.
        transaction_per_migration=True,
    )
with context.begin_transaction():
    context.run_migrations()
