"""Tasks that are accepted in an application's own transaction, where its database is the ledger's PostgreSQL.

    from waybill.outbox.direct import Direct

    direct = Direct(schema="waybill")

    with Session(engine) as session, session.begin():
        session.add(order)
        order.task_id = direct.submit(session, InvoiceRequested(order_id="7"))

No relay and no gateway are needed: the task is in the ledger when the transaction is committed.
"""

from waybill.outbox.direct.accepting import Direct
from waybill.outbox.direct.grants import grants_sql

__all__ = ["Direct", "grants_sql"]
