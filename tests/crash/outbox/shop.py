"""A shop: each order is written with its event in one transaction, after another one that is rolled back."""

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, create_engine, insert, select
from sqlalchemy.exc import IntegrityError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from waybill import outbox
from waybill.kinds import SyncRequested

METADATA = MetaData()
#: The truth: an order is committed exactly if its event is.
PLACED = Table(
    "placed",
    METADATA,
    Column("name", String(80), primary_key=True),
    Column("row_id", String(36), nullable=False),
)
outbox.add_table(METADATA)
#: Seconds that a write waits for another one: a repeat of the call comes soon.
BUSY_SECONDS = 1.0


def commit(connection: Connection) -> None:
    """The step of the matrix."""
    connection.commit()


def placed(engine: Engine, name: str) -> str:
    """Places an order, once however often it is called; the id of its row in the outbox."""
    with engine.connect() as connection:
        _write(connection, f"{name}-rolled-back")
        connection.rollback()
        try:
            row_id = _write(connection, name)
        except IntegrityError:
            connection.rollback()
            return str(connection.scalar(select(PLACED.c.row_id).where(PLACED.c.name == name)))
        commit(connection)
        return row_id


def _write(connection: Connection, name: str) -> str:
    event = SyncRequested(target="crm", resource="crash", id=name, data={"name": name})
    row_id = outbox.submit(connection, event)
    connection.execute(insert(PLACED), {"name": name, "row_id": row_id})
    return row_id


def make_app(database_url: str) -> Starlette:
    """The application: `POST /orders/NAME` is answered with 202 once the order is committed."""
    engine = create_engine(database_url, connect_args={"timeout": BUSY_SECONDS})
    METADATA.create_all(engine)

    async def order(request: Request) -> JSONResponse:
        row_id = await run_in_threadpool(placed, engine, request.path_params["name"])
        return JSONResponse({"id": row_id}, 202)

    async def ready(_request: Request) -> JSONResponse:
        return JSONResponse({})

    return Starlette(routes=[Route("/orders/{name}", order, methods=["POST"]), Route("/readyz", ready)])
