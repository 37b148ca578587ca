"""An application: each transaction writes an order and its event. Arguments: see `main`."""

import sys
from pathlib import Path

from sqlalchemy import Column, MetaData, String, Table, create_engine, insert, make_url

from tests.crash.outbox.holding import hold
from waybill import outbox
from waybill.kinds import SyncRequested

METADATA = MetaData()
#: The truth: an order is committed exactly if its event is.
ORDERS = Table("orders", METADATA, Column("id", String(36), primary_key=True))
outbox.add_table(METADATA)

BEFORE_COMMIT = "before-commit"
COMMITTED = "committed"


def main(database_url: str, number: str, point: str, reached: str) -> None:
    """Writes `number` orders; every third transaction is rolled back, and the last one stops at `point`."""
    engine = create_engine(make_url(database_url))
    for count in range(int(number)):
        is_last = count == int(number) - 1
        with engine.connect() as connection:
            event = SyncRequested(target="crm", resource="orders", id=str(count), data={"count": count})
            id_ = outbox.submit(connection, event, order_key="orders" if count % 2 else None)
            connection.execute(insert(ORDERS), {"id": id_})
            if is_last and point == BEFORE_COMMIT:
                hold(Path(reached))
            if not is_last and count % 3 == 2:
                connection.rollback()
            else:
                connection.commit()
    if point == COMMITTED:
        hold(Path(reached))


if __name__ == "__main__":
    main(*sys.argv[1:])
