"""API keys: who may do what, for which tenant. Of a secret only its hash is kept."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from sqlalchemy import Connection, Row, Select, bindparam, insert, or_, select, update

from waybill_ledger.listings.id_prefix import KEY_DIGITS, begins_with
from waybill_ledger.listings.keyset_cursors import decoded, encoded
from waybill_ledger.schema.key_table import API_KEYS

#: How every token begins, so that one is recognised wherever it turns up.
PREFIX: Final = "wb"
#: Of a key's name; it appears in logs and in the audit trail.
KEY_NAME_PATTERN: Final = r"^[\x20-\x7e]{1,64}$"
#: Bytes of chance in an id, which is no secret, and in a secret: 256 bits, beyond any guessing.
_ID_BYTES, _SECRET_BYTES = 8, 32
#: What one gateway process is let to do for one key unless asked for otherwise: well below what it can.
RATE: Final = 100.0
BURST: Final = 200
#: Longer is no token of ours: prefix, id, secret and two underscores.
MAX_TOKEN_LENGTH: Final = 80


class Scope(StrEnum):
    """What a key allows."""

    #: To make tasks and schedules, and to call them off.
    SUBMIT = "submit"
    #: To see what became of them.
    READ = "read"
    #: To work at the failure desk.
    OPERATE = "operate"
    #: To see what is sealed, with a reason that is written down.
    REVEAL = "reveal"
    #: To read the numbers of the process, for Prometheus.
    METRICS = "metrics"
    #: All of it, for every tenant, and to manage keys.
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Secret:
    """What a new key or a rotation is made of: shown once, as part of `token`, and never kept."""

    key_id: str
    _secret: str = field(repr=False)

    @classmethod
    def new(cls, key_id: str | None = None) -> Self:
        """A new one, for a new key or for the one that is named."""
        return cls(key_id or secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES))

    @classmethod
    def of(cls, token: str) -> Self | None:
        """The one within a token; None if it is no token of ours."""
        prefix, _, rest = token.partition("_")
        key_id, _, secret = rest.partition("_")
        is_one = prefix == PREFIX and key_id and secret and len(token) <= MAX_TOKEN_LENGTH
        return cls(key_id, secret) if is_one and token.isascii() and key_id.isalnum() else None

    @property
    def token(self) -> str:
        """What the caller sends."""
        return f"{PREFIX}_{self.key_id}_{self._secret}"

    @property
    def hash(self) -> str:
        """What is kept: SHA-256 in hexadecimal."""
        return hashlib.sha256(self._secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Key:
    """A key as the ledger knows it."""

    id: str
    tenant: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    #: Requests a second, and how many at once.
    rate: float
    burst: int
    #: Largest body; None: the gateway's own limit alone.
    max_body_bytes: int | None
    #: Until when the secret before the last rotation is good.
    former_until: datetime | None
    secret_hash: str = field(repr=False)
    former_hash: str | None = field(repr=False)

    def is_opened_by(self, secret: Secret, now: datetime) -> bool:
        """Whether this secret is the key's, ended or not; takes the same time for each wrong one."""
        given = secret.hash
        is_current = hmac.compare_digest(given, self.secret_hash)
        is_former = hmac.compare_digest(given, self.former_hash or self.secret_hash)
        return is_current or (is_former and self.former_until is not None and now < self.former_until)

    def is_good(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def allows(self, scope: Scope) -> bool:
        """Whether it allows this; `admin` allows everything."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


@dataclass(frozen=True, slots=True)
class NewKey:
    """A wish to make a key."""

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
    """A wish to end a key."""

    key_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Rotation:
    """A wish to give a key another secret; the one before is good until `former_until`."""

    secret: Secret
    at: datetime
    former_until: datetime


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Some keys, in the order of their ids, and the cursor of the next page if there is one."""

    keys: list[Key]
    next_cursor: str | None


def create_keys(connection: Connection, wishes: Sequence[NewKey]) -> Sequence[Key]:
    """Makes keys; a batch write for `Records.write`."""
    connection.execute(insert(API_KEYS), [_row(wish) for wish in wishes])
    return [_key(connection.execute(_one(wish.secret.key_id)).one()) for wish in wishes]


def revoke_keys(connection: Connection, wishes: Sequence[Revocation]) -> Sequence[Key | None]:
    """Ends keys; a batch write for `Records.write`. One that has ended stays as it was. None: unknown."""
    for wish in wishes:
        connection.execute(
            update(API_KEYS)
            .where(API_KEYS.c.id == wish.key_id, API_KEYS.c.revoked_at.is_(None))
            .values(revoked_at=wish.at)
        )
    return [get_key(connection, wish.key_id) for wish in wishes]


def rotate_keys(connection: Connection, wishes: Sequence[Rotation]) -> Sequence[Key | None]:
    """Gives keys other secrets; a batch write for `Records.write`. None: unknown, revoked or expired.

    A secret from before an earlier rotation ends at once.
    """
    rotated: list[Key | None] = []
    for wish in wishes:
        changed = connection.execute(
            update(API_KEYS)
            .where(
                API_KEYS.c.id == wish.secret.key_id,
                API_KEYS.c.revoked_at.is_(None),
                or_(API_KEYS.c.expires_at.is_(None), API_KEYS.c.expires_at > wish.at),
            )
            .values(
                former_hash=API_KEYS.c.secret_hash,
                former_until=wish.former_until,
                secret_hash=wish.secret.hash,
            )
        )
        rotated.append(get_key(connection, wish.secret.key_id) if changed.rowcount else None)
    return rotated


def note_use(connection: Connection, uses: Sequence[Mapping[str, datetime]]) -> Sequence[None]:
    """Writes down when keys were last used; a batch write for `Records.write`."""
    rows = [{"b_id": key_id, "b_at": at} for use in uses for key_id, at in sorted(use.items())]
    if rows:
        connection.execute(_USED, rows)
    return [None] * len(uses)


def get_key(connection: Connection, key_id: str) -> Key | None:
    """The key, or None."""
    row = connection.execute(_one(key_id)).one_or_none()
    return None if row is None else _key(row)


def list_keys(
    connection: Connection,
    *,
    tenant: str | None,
    limit: int,
    cursor: str | None,
    beginning: str | None = None,
) -> KeyPage:
    """A page of keys, those that have ended included.

    Args:
        connection: to the ledger.
        tenant: whose they are; None: everybody's.
        limit: keys on a page.
        cursor: of the page.
        beginning: of their ids.

    Raises:
        BadCursorError: `cursor` is none of ours.
    """
    query = select(API_KEYS).order_by(API_KEYS.c.id).limit(limit + 1)
    if cursor is not None:
        (last,) = decoded(cursor, str)
        query = query.where(API_KEYS.c.id > last)
    if beginning is not None:
        query = query.where(begins_with(API_KEYS.c.id, beginning, KEY_DIGITS))
    if tenant is not None:
        query = query.where(API_KEYS.c.tenant == tenant)
    found = [_key(row) for row in connection.execute(query)]
    page = found[:limit]
    return KeyPage(page, encoded(page[-1].id) if len(found) > limit else None)


def _one(key_id: str) -> Select[Any]:
    return select(API_KEYS).where(API_KEYS.c.id == key_id)


def _key(row: Row[Any]) -> Key:
    # A scope of a newer release means nothing to this one.
    known = frozenset(Scope(scope) for scope in row.scopes if scope in set(Scope))
    return Key(**row._asdict() | {"scopes": known})


def _row(wish: NewKey) -> dict[str, Any]:
    return {
        "id": wish.secret.key_id,
        "tenant": wish.tenant,
        "name": wish.name,
        "scopes": sorted(wish.scopes),
        "secret_hash": wish.secret.hash,
        "created_at": wish.at,
        "created_by": wish.actor,
        "expires_at": wish.expires_at,
        "rate": wish.rate,
        "burst": wish.burst,
        "max_body_bytes": wish.max_body_bytes,
    }


_USED = update(API_KEYS).where(API_KEYS.c.id == bindparam("b_id")).values(last_used_at=bindparam("b_at"))
