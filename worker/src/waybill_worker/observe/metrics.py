"""The metrics registry of a process, served at /metrics. No label holds an id.

Names begin with `waybill_` and end with their unit (https://prometheus.io/docs/practices/naming/).
"""

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    GCCollector,
    ProcessCollector,
    generate_latest,
)


def make_registry() -> CollectorRegistry:
    """A registry with the metrics of the process itself: memory, CPU time, open files, garbage collection."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def exposition(registry: CollectorRegistry) -> tuple[bytes, str]:
    """The answer of /metrics: its text and content type."""
    return generate_latest(registry), CONTENT_TYPE_LATEST
