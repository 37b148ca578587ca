"""An application with all that the examples of docstrings name."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Self

import httpx
import pytest
from alembic import op
from alembic.migration import MigrationContext
from alembic.operations import Operations
from docstring_examples import names_of, public_modules
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse
from sqlalchemy import Engine, create_engine
from sqlalchemy import inspect as inspected
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from waybill import Attempt, Client, Event, Person, Sensitive, Service, outbox
from waybill.kinds import EmailRequested, SyncRequested, UserCreated
from waybill.problems import ClientError
from waybill.testing import MemoryGateway


class OrderPlaced(Event, kind="order.placed"):
    order_id: str


class InvoiceRequested(Event, kind="invoice.requested", version=2):
    order_id: str
    email: Annotated[str, Sensitive, Person] = "ann@example.com"


class ReportRequested(Event, kind="report.requested"):
    pages: int = 2
    email: str = "ann@example.com"


def mail() -> EmailRequested:
    return EmailRequested(to="ann@example.com", subject="Hello", text="Good morning.")


def shop() -> Service[None]:
    """A service with all that examples ask of one."""
    service = Service("shop")

    @service.handles(InvoiceRequested)
    async def render(event: InvoiceRequested, attempt: Attempt) -> dict[str, object]:
        await attempt.progress(0.5, "page 1 of 2")
        await attempt.files.write("invoice.pdf", b"%PDF-1.7 ...", content_type="application/pdf")
        attempt.submit(mail())
        return {"order": event.order_id}

    return service


LETTERS: Final = Service("letters")


@LETTERS.task
def remind(email: str, days: int = 3) -> dict[str, object]:
    return {"email": email, "days": days}


@LETTERS.task
async def aremind(email: str, days: int = 3) -> dict[str, object]:
    return {"email": email, "days": days}


@LETTERS.task
def send_confirmation(order_id: str, email: str) -> None:
    del order_id, email


@LETTERS.task
def close_books() -> None:
    """Closes the books."""


FUNCTIONS: Final[dict[str, Any]] = {
    "remind": remind,
    "aremind": aremind,
    "send_confirmation": send_confirmation,
    "close_books": close_books,
}


def place_order(number: str, email: str = "ann@example.com") -> str:
    """What an application does, and what it says if it cannot."""
    try:
        with Client(deadline=0) as client:
            client.submit(OrderPlaced(order_id=number))
    except ClientError as error:
        return "try again later" if error.is_temporary else f"refused for {email}"
    return "placed"


def welcome(email: str) -> None:
    with Client() as client:
        client.submit(EmailRequested(to=email, subject="Hello", text="Good morning."))


@dataclass
class Database:
    """The database of an application."""

    base: Any
    order: Any
    engine: Engine

    @classmethod
    def at(cls, path: Path) -> Self:
        class Base(DeclarativeBase):
            """Of its tables."""

        class Order(Base):
            __tablename__ = "orders"
            id: Mapped[str] = mapped_column(primary_key=True)

        return cls(Base, Order, create_engine(f"sqlite:///{path}"))

    def with_outbox(self) -> None:
        outbox.add_table(self.base.metadata)
        self.base.metadata.create_all(self.engine)

    def migrated(self, step: Callable[[], None]) -> list[str]:
        """Names of the tables after a step of a migration."""
        with self.engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
            step()
        return inspected(self.engine).get_table_names()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database.at(tmp_path / "shop.db")
    yield made
    made.engine.dispose()


@pytest.fixture
def memory() -> Iterator[MemoryGateway]:
    with MemoryGateway(
        shop(), LETTERS, OrderPlaced, EmailRequested, SyncRequested, UserCreated
    ).installed() as gateway:
        yield gateway


@pytest.fixture
def given(memory: MemoryGateway, database: Database) -> Iterator[dict[str, Any]]:
    """The names that examples use."""
    with Client() as client, Session(database.engine) as session:
        yield {
            **{name: value for module in public_modules() for name, value in names_of(module).items()},
            **FUNCTIONS,
            "__name__": "examples",
            "Annotated": Annotated,
            "Any": Any,
            "AsyncIterator": AsyncIterator,
            "Base": database.base,
            "DATABASE_URL": database.engine.url.render_as_string(),
            "FastAPI": FastAPI,
            "InvoiceRequested": InvoiceRequested,
            "Order": database.order,
            "PlainTextResponse": PlainTextResponse,
            "ReportRequested": ReportRequested,
            "Request": Request,
            "Session": Session,
            "addresses": ["ann@example.com", "bob@example.com"],
            "answer": httpx.Response(429, headers={"Retry-After": "5"}),
            "asynccontextmanager": asynccontextmanager,
            "client": client,
            "draw": lambda page: page,
            "engine": database.engine,
            "event": InvoiceRequested(order_id="17"),
            "gateway": memory,
            "op": op,
            "outbox": outbox,
            "pages_of": lambda event: range(event.pages),
            "place_order": place_order,
            "send_letter": lambda address: address,
            "service": Service("letters"),
            "session": session,
            "waybill_memory": memory,
            "welcome": welcome,
        }
