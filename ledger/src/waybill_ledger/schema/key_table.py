"""The table of API keys."""

from sqlalchemy import JSON, BigInteger, Column, Float, Index, Integer, String, Table

from waybill_database import Instant
from waybill_ledger.schema.tables import METADATA

API_KEYS = Table(
    "api_keys",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("tenant", String(63), nullable=False),
    Column("name", String(64), nullable=False),
    Column("scopes", JSON, nullable=False),
    # SHA-256 in hexadecimal. A secret is 256 random bits: a slow hash would protect nothing, and a fast one
    # can be computed with each request.
    Column("secret_hash", String(64), nullable=False),
    Column("former_hash", String(64)),  # of the previous secret …
    Column("former_until", Instant),  # … and when it expires
    Column("created_at", Instant, nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("last_used_at", Instant),  # to the minute
    Column("rate", Float, nullable=False),  # requests a second, in each gateway process …
    Column("burst", Integer, nullable=False),  # … and requests at once
    Column("max_body_bytes", BigInteger),  # NULL: only the limit of the gateway
    Index("api_keys_by_tenant", "tenant", "id"),
)
