"""How a service runs: consume pipeline, attempts, inbox, publishing, broker, storage, logs, health."""
