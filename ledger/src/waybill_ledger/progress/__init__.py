"""What happens to tasks: merged lifecycle events, reconciliation, alerts."""
