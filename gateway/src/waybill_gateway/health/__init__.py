"""Health: probes, metrics, the bare address."""
