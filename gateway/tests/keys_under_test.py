"""Keys for a gateway in this process, made in its ledger as an installation's first one is."""

from datetime import UTC, datetime
from typing import Any, Protocol

from waybill_gateway.runtime import Resources
from waybill_ledger import NewKey, Scope, Secret, create_keys


class WithLedger(Protocol):
    """A gateway in this process, however it is reached."""

    @property
    def resources(self) -> Resources: ...


async def key_in(gateway: WithLedger, *scopes: Scope, **changes: Any) -> dict[str, str]:
    """The header of a new key."""
    secret = Secret.new()
    made: dict[str, Any] = {
        "secret": secret,
        "tenant": "default",
        "name": "test",
        "scopes": frozenset(scopes),
        "at": datetime.now(UTC),
        "actor": "test",
        "expires_at": None,
        "rate": 1000.0,
        "burst": 1000,
        "max_body_bytes": None,
    }
    await gateway.resources.records.write(create_keys, NewKey(**made | changes))
    return bearer(secret.token)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def id_of(header: dict[str, str]) -> str:
    return header["Authorization"].split("_")[1]
