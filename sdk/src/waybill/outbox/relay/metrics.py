"""The metrics of a relay, for prometheus_client."""

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import DBAPIError

from waybill.outbox.relay.health import RelayHealth
from waybill.outbox.relay.inspection import Inspection


class RelayCollector(Collector):
    """Collects the metrics of one relay.

    prometheus_client.REGISTRY.register(relay.collector())
    """

    def __init__(self, health: RelayHealth, inspection: Inspection) -> None:
        self._health = health
        self._inspection = inspection

    def collect(self) -> Iterator[Any]:
        """The values now; what is in the database is left out while it cannot be used."""
        health = self._health
        yield _counter("accepted", "Rows whose tasks this relay saw accepted.", health.accepted_rows)
        yield _counter("refused", "Rows that were refused by the gateway.", health.refused_rows)
        yield _counter("failed_posts", "Posts that are to be repeated.", health.failed_posts)
        yield _gauge("gateway_up", "Whether the gateway answered the last post.", health.gateway_answers)
        try:
            depth = self._inspection.depth()
        except DBAPIError as error:
            health.database_failed(error)
            return
        yield _gauge("waiting_rows", "Rows that wait to be accepted.", depth.waiting)
        yield _gauge("refused_rows", "Rows that were refused, and wait for a person.", depth.refused)
        yield _gauge("lag_seconds", "Age of the oldest row that waits; 0: none does.", depth.lag_seconds)


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"waybill_outbox_{name}", text, value)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"waybill_outbox_{name}", text, value)
