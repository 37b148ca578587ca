"""API keys: what a caller may do, and for which tenant. Of a secret only the hash is kept."""

import hashlib
import hmac
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from sqlalchemy import Connection, Row, Select, bindparam, insert, or_, select, update

from waybill_ledger.listings import KEY_DIGITS, begins_with, decoded_key, encoded_key
from waybill_ledger.schema import API_KEYS

#: Prefix of every token, so that scanners recognise a leaked one.
PREFIX: Final = "wb"
#: Pattern of names of keys; they appear in logs and in the audit trail.
KEY_NAME_PATTERN: Final = r"^[\x20-\x7e]{1,64}$"
#: Random bytes of an id, which is public, and of a secret: 256 bits cannot be guessed.
_ID_BYTES, _SECRET_BYTES = 8, 32
#: Default limits of one key in one gateway process: requests a second, and at once.
RATE: Final = 100.0
BURST: Final = 200
#: Longest token: prefix, id, secret and two underscores.
MAX_TOKEN_LENGTH: Final = 80


class Scope(StrEnum):
    """What a key allows."""

    #: Create and cancel tasks, create and change schedules.
    SUBMIT = "submit"
    #: Read tasks, schedules and their outcomes.
    READ = "read"
    #: Work at the failure desk.
    OPERATE = "operate"
    #: See sealed data, with a reason that is recorded.
    REVEAL = "reveal"
    #: Register and retire services, read the registry.
    DEPLOY = "deploy"
    #: Read the metrics, for Prometheus.
    METRICS = "metrics"
    #: Everything, for every tenant, and manage keys.
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Secret:
    """Secret of a new or rotated key: shown once, as part of `token`, and never kept."""

    key_id: str
    _secret: str = field(repr=False)

    @classmethod
    def new(cls, key_id: str | None = None) -> Self:
        """Random secret for a new key, or for the key with this id."""
        return cls(key_id or secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES))

    @classmethod
    def of(cls, token: str) -> Self | None:
        """Secret in a token; None if the token has another format."""
        prefix, _, rest = token.partition("_")
        key_id, _, secret = rest.partition("_")
        is_one = prefix == PREFIX and key_id and secret and len(token) <= MAX_TOKEN_LENGTH
        return cls(key_id, secret) if is_one and token.isascii() and key_id.isalnum() else None

    @property
    def token(self) -> str:
        """Token that the caller sends."""
        return f"{PREFIX}_{self.key_id}_{self._secret}"

    @property
    def hash(self) -> str:
        """SHA-256 of the secret in hexadecimal: the part that is kept."""
        return hashlib.sha256(self._secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Key:
    """An API key, as read from the ledger."""

    id: str
    tenant: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    #: Requests a second, and at once.
    rate: float
    burst: int
    #: Largest body in bytes; None: only the limit of the gateway.
    max_body_bytes: int | None
    #: When the previous secret expires.
    former_until: datetime | None
    secret_hash: str = field(repr=False)
    former_hash: str | None = field(repr=False)

    def is_opened_by(self, secret: Secret, now: datetime) -> bool:
        """Whether this is the secret of the key, expired or not; in constant time."""
        given = secret.hash
        is_current = hmac.compare_digest(given, self.secret_hash)
        is_former = hmac.compare_digest(given, self.former_hash or self.secret_hash)
        return is_current or (is_former and self.former_until is not None and now < self.former_until)

    def is_good(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def allows(self, *scopes: Scope) -> bool:
        """Whether the key has one of the scopes; `admin` includes all."""
        return not self.scopes.isdisjoint((*scopes, Scope.ADMIN))


@dataclass(frozen=True, slots=True)
class NewKey:
    """Request to create a key."""

    secret: Secret
    tenant: str
    name: str
    scopes: frozenset[Scope]
    at: datetime
    actor: str
    expires_at: datetime | None
    rate: float
    burst: int
    max_body_bytes: int | None


@dataclass(frozen=True, slots=True)
class Revocation:
    """Request to revoke a key."""

    key_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Rotation:
    """Request to replace the secret of a key; the previous one is valid until `former_until`."""

    secret: Secret
    at: datetime
    former_until: datetime


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Keys in the order of their ids; the cursor of the next page, or None."""

    keys: list[Key]
    next_cursor: str | None


def create_keys(connection: Connection, requests: Sequence[NewKey]) -> Sequence[Key]:
    """Creates keys; a batch write for `Records.write`."""
    connection.execute(insert(API_KEYS), [_row(request) for request in requests])
    return [_key(connection.execute(_one(request.secret.key_id)).one()) for request in requests]


def revoke_keys(connection: Connection, requests: Sequence[Revocation]) -> Sequence[Key | None]:
    """Revokes keys; a batch write for `Records.write`. A revoked key keeps its time. None: no such key."""
    for request in requests:
        connection.execute(
            update(API_KEYS)
            .where(API_KEYS.c.id == request.key_id, API_KEYS.c.revoked_at.is_(None))
            .values(revoked_at=request.at)
        )
    return [get_key(connection, request.key_id) for request in requests]


def rotate_keys(connection: Connection, requests: Sequence[Rotation]) -> Sequence[Key | None]:
    """Replaces secrets of keys; a batch write for `Records.write`. None: no such key, revoked or expired.

    A secret from before an earlier rotation expires at once.
    """
    rotated: list[Key | None] = []
    for request in requests:
        changed = connection.execute(
            update(API_KEYS)
            .where(
                API_KEYS.c.id == request.secret.key_id,
                API_KEYS.c.revoked_at.is_(None),
                or_(API_KEYS.c.expires_at.is_(None), API_KEYS.c.expires_at > request.at),
            )
            .values(
                former_hash=API_KEYS.c.secret_hash,
                former_until=request.former_until,
                secret_hash=request.secret.hash,
            )
        )
        rotated.append(get_key(connection, request.secret.key_id) if changed.rowcount else None)
    return rotated


def note_use(connection: Connection, uses: Sequence[Mapping[str, datetime]]) -> Sequence[None]:
    """Records when keys were last used; a batch write for `Records.write`."""
    rows = [{"b_id": key_id, "b_at": at} for use in uses for key_id, at in sorted(use.items())]
    if rows:
        connection.execute(_USED, rows)
    return [None] * len(uses)


def get_key(connection: Connection, key_id: str) -> Key | None:
    """The key, or None."""
    row = connection.execute(_one(key_id)).one_or_none()
    return None if row is None else _key(row)


def get_keys(connection: Connection, key_ids: Collection[str]) -> dict[str, Key]:
    """Those of these keys that there are, by id."""
    rows = connection.execute(select(API_KEYS).where(API_KEYS.c.id.in_(key_ids)))
    return {row.id: _key(row) for row in rows}


def list_keys(
    connection: Connection,
    *,
    tenant: str | None,
    limit: int,
    cursor: str | None,
    beginning: str | None = None,
) -> KeyPage:
    """A page of keys, including revoked and expired ones.

    Args:
        connection: to the ledger.
        tenant: the owner; None: all tenants.
        limit: keys on a page.
        cursor: of the page; None: the first.
        beginning: prefix of the ids.

    Raises:
        BadCursorError: `cursor` was not issued by this listing.
    """
    query = select(API_KEYS).order_by(API_KEYS.c.id).limit(limit + 1)
    if cursor is not None:
        (last,) = decoded_key(cursor, str)
        query = query.where(API_KEYS.c.id > last)
    if beginning is not None:
        query = query.where(begins_with(API_KEYS.c.id, beginning, KEY_DIGITS))
    if tenant is not None:
        query = query.where(API_KEYS.c.tenant == tenant)
    found = [_key(row) for row in connection.execute(query)]
    page = found[:limit]
    return KeyPage(page, encoded_key(page[-1].id) if len(found) > limit else None)


def _one(key_id: str) -> Select[Any]:
    return select(API_KEYS).where(API_KEYS.c.id == key_id)


def _key(row: Row[Any]) -> Key:
    # A scope of a newer release is unknown here, and ignored.
    known = frozenset(Scope(scope) for scope in row.scopes if scope in set(Scope))
    return Key(**row._asdict() | {"scopes": known})


def _row(request: NewKey) -> dict[str, Any]:
    return {
        "id": request.secret.key_id,
        "tenant": request.tenant,
        "name": request.name,
        "scopes": sorted(request.scopes),
        "secret_hash": request.secret.hash,
        "created_at": request.at,
        "created_by": request.actor,
        "expires_at": request.expires_at,
        "rate": request.rate,
        "burst": request.burst,
        "max_body_bytes": request.max_body_bytes,
    }


_USED = update(API_KEYS).where(API_KEYS.c.id == bindparam("b_id")).values(last_used_at=bindparam("b_at"))
