"""How a service runs: connection, topology, consume pipeline, retries, inbox, reporter, logs, health."""
