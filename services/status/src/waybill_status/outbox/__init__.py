"""The outbox relay: what still waits is published; low-priority work as fast as services take it."""
