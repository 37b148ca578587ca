"""Keys made with the database alone: the first ones of an installation."""

from collections.abc import Iterable
from datetime import UTC, datetime

from waybill_database import open_engine
from waybill_ledger.access.keys import BURST, RATE, NewKey, Scope, Secret, create_keys, get_key
from waybill_ledger.schema import DEFAULT_TENANT, require_current


def new_key(
    secret: Secret, *, name: str, scopes: Iterable[Scope], actor: str, tenant: str = DEFAULT_TENANT
) -> NewKey:
    """Request for a key with default limits that does not expire.

    Args:
        secret: of the key.
        name: of the user of the key, for people.
        scopes: of the key.
        actor: who creates it.
        tenant: owner of the tasks that it creates and sees.
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


def make_missing_keys(url: str, requests: Iterable[NewKey]) -> None:
    """Creates the keys that the ledger at `url` does not have; a revoked one stays revoked.

    Raises:
        SchemaError: the schema of the ledger is not that of this release.
    """
    engine = open_engine(url, connections=1)
    try:
        require_current(engine)
        with engine.begin() as connection:
            missing = [request for request in requests if get_key(connection, request.secret.key_id) is None]
            if missing:
                create_keys(connection, missing)
    finally:
        engine.dispose()
