"""Making keys where only the database is at hand: the first ones of an installation."""

from collections.abc import Iterable
from datetime import UTC, datetime

from waybill_database import open_engine
from waybill_ledger.access.keys import BURST, RATE, NewKey, Scope, Secret, create_keys, get_key
from waybill_ledger.schema.tenants import DEFAULT_TENANT
from waybill_ledger.schema.version import require_current


def wish_for(
    secret: Secret, *, name: str, scopes: Iterable[Scope], actor: str, tenant: str = DEFAULT_TENANT
) -> NewKey:
    """A key with the usual limits that does not expire.

    Args:
        secret: what its token is made of.
        name: who uses it, for people.
        scopes: what it allows.
        actor: who makes it.
        tenant: whose tasks it makes and sees.
    """
    return NewKey(
        secret=secret,
        tenant=tenant,
        name=name,
        scopes=frozenset(scopes),
        at=datetime.now(UTC),
        actor=actor,
        expires_at=None,
        rate=RATE,
        burst=BURST,
        max_body_bytes=None,
    )


def make_missing_keys(url: str, wishes: Iterable[NewKey]) -> None:
    """Makes those keys that the ledger at `url` does not know; one that was revoked stays so.

    Raises:
        SchemaError: the ledger's schema is not this release's.
    """
    engine = open_engine(url, connections=1)
    try:
        require_current(engine)
        with engine.begin() as connection:
            missing = [wish for wish in wishes if get_key(connection, wish.secret.key_id) is None]
            if missing:
                create_keys(connection, missing)
    finally:
        engine.dispose()
