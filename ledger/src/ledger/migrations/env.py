"""Alembic's entry: runs the migrations on the connection that `ledger.migrate` opened."""

from alembic import context

from ledger.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    # SQLite changes a table by rewriting it.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
