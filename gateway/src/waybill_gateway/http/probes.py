"""The paths that supervisors and Prometheus request, again and again."""

from typing import Final

PROBES: Final = frozenset({"/healthz", "/startupz", "/readyz", "/metrics"})
