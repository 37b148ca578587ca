"""Where Prometheus scrapes the registered services: its HTTP service discovery.

https://prometheus.io/docs/prometheus/latest/http_sd/
"""

import asyncio
import socket
from collections.abc import Iterator, Mapping
from time import monotonic
from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel

from waybill_gateway.auth import GuardedRoute
from waybill_gateway.runtime import ResourcesDep

router = APIRouter(tags=["registry"], route_class=GuardedRoute)

#: Seconds after which names are no longer resolved, but given as they are.
RESOLVE_SECONDS: Final = 5.0


class TargetGroup(BaseModel):
    """The replicas of one service."""

    #: Each as host:port.
    targets: list[str]
    #: Of what is scraped there.
    labels: dict[str, str]


@router.get("/v1/services/targets")
async def get_targets(resources: ResourcesDep) -> list[TargetGroup]:
    """Lists where the metrics of the registered services are, for Prometheus (`http_sd_configs`).

    A name that stands for several replicas gives one target for each of its IPv4 addresses; one that leads
    nowhere now is a target itself, so that the service is seen to be down.
    """
    places = {
        name: service.manifest.metrics
        for name, service in sorted(resources.kinds.current.services.items())
        if service.manifest.metrics is not None and not service.is_retired
    }
    # In a thread, and one after the other: the system's resolver blocks.
    return await asyncio.to_thread(lambda: list(_groups(places)))


def _groups(places: Mapping[str, str]) -> Iterator[TargetGroup]:
    until = monotonic() + RESOLVE_SECONDS
    for service, place in places.items():
        targets = _replicas(place) if monotonic() < until else [place]
        yield TargetGroup(targets=targets, labels={"process": service})


def _replicas(place: str) -> list[str]:
    host, _, port = place.rpartition(":")
    try:
        found = socket.getaddrinfo(host, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except OSError:
        return [place]
    return sorted({f"{address[0]}:{port}" for *_, address in found})
