"""The tables of the registry: kinds, and the services that handle them. Rows are never deleted."""

from sqlalchemy import JSON, Boolean, Column, Integer, String, Table, Text

from waybill_database import Instant
from waybill_ledger.schema.tables import METADATA

_KIND = String(64)
_SERVICE = String(64)

CONTRACTS = Table(
    "contracts",
    METADATA,
    Column("kind", _KIND, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("data", JSON, nullable=False),  # JSON Schema of the data
    Column("secret", Boolean, nullable=False),  # whether any field is marked so
    Column("registered_at", Instant, nullable=False),
)
KINDS = Table(
    "kinds",
    METADATA,
    Column("name", _KIND, primary_key=True),
    Column("owner", _SERVICE, nullable=False),
)
#: Where the tasks of a kind went and go: see `waybill_contracts.registry.Route`.
ROUTES = Table(
    "routes",
    METADATA,
    Column("kind", _KIND, primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("routing_key", String(255), nullable=False, unique=True),
    Column("services", JSON, nullable=False),  # names, in order
    Column("declared_at", Instant),  # NULL: the broker may not have its bindings
)
SERVICES = Table(
    "services",
    METADATA,
    Column("name", _SERVICE, primary_key=True),
    Column("manifest", Text, nullable=False),  # JSON, the newest
    Column("registered_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", String(128)),  # NULL: the installation itself
    Column("retired_at", Instant),
)
#: One row, always. Its lock is held by who changes the registry.
REGISTRY = Table(
    "registry",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", Integer, nullable=False),  # rises with every change
)
