"""Manifests of a team that is not ours, and what a broker and services would have done about them."""

from typing import Any

from waybill_contracts.registry import HandledKind, Manifest
from waybill_ledger.registry import confirm_declared, load_registry
from waybill_testkit.gateway.in_process import Gateway

KIND = "invoice.requested"
INVOICES = "/v1/services/invoices"


def schema(**fields: Any) -> dict[str, Any]:
    """A contract's schema with a field `order_id`, and others."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {"order_id": {"type": "string", "maxLength": 20}} | fields,
        "required": ["order_id"],
    }


def handled(kind: str = KIND, **changes: Any) -> dict[str, Any]:
    """A kind, as a manifest states it."""
    return {"kind": kind, "version": 1, "reads": [1], "data": schema()} | changes


def manifest(service: str = "invoices", release: str = "1", *kinds: dict[str, Any]) -> dict[str, Any]:
    """A manifest of one kind, or of those given."""
    return {"manifest": 1, "service": service, "release": release, "handles": list(kinds) or [handled()]}


def made_of(number: int, kinds: int) -> Manifest:
    """A manifest of one of very many services."""
    return Manifest(
        service=f"team-{number}",
        release="1",
        handles=tuple(
            HandledKind(kind=f"team{number}.work{each}", reads=(1,), data=schema()) for each in range(kinds)
        ),
    )


async def declare(gateway: Gateway) -> None:
    """What the status service does when the broker has all bindings."""
    registry = await gateway.resources.records.read(load_registry)
    await gateway.resources.records.write(confirm_declared, (registry, gateway.resources.records.now()))
