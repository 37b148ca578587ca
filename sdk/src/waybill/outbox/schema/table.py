"""The table of the application outbox, and the ways to create it."""

from typing import Any, Final, Protocol

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    make_url,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable, DDLElement, DropTable

from waybill.outbox.rows import DialectName, checked_database

TABLE_NAME: Final = "waybill_outbox"

#: States of a row: to be posted; refused by the gateway, until a person decides.
WAITING: Final = "waiting"
REFUSED: Final = "refused"

_ORDERED: Final = text("order_key IS NOT NULL")


def add_table(metadata: MetaData) -> Table:
    """Adds the table to an application's metadata, so that `create_all` and Alembic's autogenerate know it.

    outbox.add_table(Base.metadata)
    """
    return Table(
        TABLE_NAME,
        metadata,
        # The order in which rows were written; a row that was deleted leaves its number unused.
        Column(
            "position",
            BigInteger().with_variant(Integer, "sqlite"),
            Identity(),
            primary_key=True,
            autoincrement=True,
        ),
        Column("id", String(36), nullable=False),
        Column("kind", String(64), nullable=False),
        Column("version", Integer, nullable=False),
        Column("data", Text, nullable=False),  # JSON as it is posted
        Column("idempotency_key", String(255)),  # NULL: the id
        Column("order_key", String(255)),  # rows that have the same one are posted in order
        Column("priority", String(8)),
        Column("send_at", String(40)),  # ISO 8601
        Column("traceparent", String(64)),  # W3C Trace Context of the submission
        # What follows is the relay's. Times are microseconds since 1970, by the clock of the database.
        Column("state", String(8), nullable=False, server_default=WAITING),
        Column(
            "available_at", BigInteger, nullable=False, server_default=text("0")
        ),  # until then a relay has it
        Column("tried_at", BigInteger),  # its first post whose answer is unknown
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("error", Text),  # why it was refused, or not posted yet
        Index(
            "waybill_outbox_in_order",
            "order_key",
            "position",
            postgresql_where=_ORDERED,
            sqlite_where=_ORDERED,
        ),
        # SQLite would give the number of a deleted row to the next one.
        sqlite_autoincrement=True,
    )


METADATA: Final = MetaData()
TABLE: Final = add_table(METADATA)


class Operations(Protocol):
    """What is used of `alembic.op`."""

    def execute(self, sqltext: Any) -> Any:
        """Runs a statement, or prints it in offline mode."""

    def get_context(self) -> Any:
        """The context of the migration, which knows the database."""


def create_table(op: Operations) -> None:
    """Creates the table in an Alembic migration.

        from alembic import op
        from waybill import outbox

        def upgrade() -> None:
            outbox.create_table(op)

    Args:
        op: `alembic.op`.
    """
    for statement in _statements(op.get_context().dialect):
        op.execute(text(statement))


def drop_table(op: Operations) -> None:
    """Drops the table, with all rows in it, in an Alembic migration; the opposite of `create_table`.

    def downgrade() -> None:
        outbox.drop_table(op)
    """
    op.execute(text(str(DropTable(TABLE).compile(dialect=op.get_context().dialect))))


def schema_sql(dialect: DialectName) -> str:
    """The statements that create the table, for applications with migrations in plain SQL.

        print(outbox.schema_sql("postgresql"))

    Raises:
        OutboxError: the outbox is not made for this database.
    """
    return "".join(f"{statement};\n" for statement in _statements(make_url(f"{dialect}://").get_dialect()()))


def _statements(dialect: Dialect) -> list[str]:
    checked_database(dialect.name)
    made: list[DDLElement] = [CreateTable(TABLE), *map(CreateIndex, sorted(TABLE.indexes, key=str))]
    return [_trimmed(str(each.compile(dialect=dialect))) for each in made]


def _trimmed(statement: str) -> str:
    return "\n".join(line.rstrip().replace("\t", "    ") for line in statement.strip().splitlines())
