"""Where Prometheus finds the metrics of registered services."""

import json
import socket
from datetime import UTC, datetime
from typing import Any

import pytest

from waybill_contracts.registry import HandledKind, Manifest
from waybill_gateway.registry import target_routes
from waybill_ledger.registry import ApplyManifest, RetireService, apply_manifests, retire_services
from waybill_testkit.gateway.in_process import Gateway


def stated(service: str, metrics: str | None) -> Manifest:
    handled = HandledKind(kind=f"{service}.asked", reads=(1,), data={"type": "object"})
    return Manifest(service=service, release="1", handles=(handled,), metrics=metrics)


async def targets(gateway: Gateway) -> dict[str, list[str]]:
    await gateway.resources.kinds.refresh()
    answer = await gateway.client.get("/v1/services/targets")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    groups: list[dict[str, Any]] = json.loads(answer.text)
    assert all(group.keys() == {"targets", "labels"} for group in groups)
    return {group["labels"]["process"]: group["targets"] for group in groups}


async def test_each_replica_of_a_registered_service_is_a_target(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    replicas = {"invoices.example": ["10.0.0.8", "10.0.0.7"], "127.0.0.1": ["127.0.0.1"]}

    def getaddrinfo(host: str, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        if host not in replicas:
            raise socket.gaierror("no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in replicas[host]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    now, records = datetime.now(UTC), gateway.resources.records
    for service, metrics in (
        ("invoices", "invoices.example:9000"),
        ("local", "127.0.0.1:9001"),
        ("quiet", None),
        ("stopped", "stopped.example:9002"),
        ("retired", "127.0.0.1:9003"),
    ):
        await records.write(apply_manifests, ApplyManifest(stated(service, metrics), now, "ann"))
    await records.write(retire_services, RetireService("retired", now, "ann"))

    assert await targets(gateway) == {
        "email": ["email:8000"],
        "images": ["images:8000"],
        "invoices": ["10.0.0.7:9000", "10.0.0.8:9000"],
        "local": ["127.0.0.1:9001"],
        "stopped": ["stopped.example:9002"],
        "sync": ["sync:8000"],
    }


async def test_names_that_take_too_long_are_given_as_they_are(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target_routes, "RESOLVE_SECONDS", -1.0)
    assert (await targets(gateway))["email"] == ["email:8000"]
