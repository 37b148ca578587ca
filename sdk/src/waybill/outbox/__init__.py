"""The application outbox: events written in an application's own transaction, and relayed from there.

    from waybill import outbox

    with Session(engine) as session, session.begin():
        session.add(Order(id="7"))
        outbox.submit(session, InvoiceRequested(order_id="7"))

What the transaction commits becomes a task, whatever dies after it; what it rolls back does not. A relay
posts the rows: `outbox.run(DATABASE_URL)` in the application, or `waybill relay` beside it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from waybill.outbox.relay import RunningRelay, run
    from waybill.outbox.rows import OutboxError
    from waybill.outbox.schema import add_table, create_table, drop_table, schema_sql
    from waybill.outbox.submission import submit, submit_many

__all__ = [
    "OutboxError",
    "RunningRelay",
    "add_table",
    "create_table",
    "drop_table",
    "run",
    "schema_sql",
    "submit",
    "submit_many",
]

#: An application on Django or psycopg has no SQLAlchemy, and one that only submits needs no relay.
_MODULES = {
    "waybill.outbox.relay": ("RunningRelay", "run"),
    "waybill.outbox.rows": ("OutboxError",),
    "waybill.outbox.submission": ("submit", "submit_many"),
    "waybill.outbox.schema": ("add_table", "create_table", "drop_table", "schema_sql"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
