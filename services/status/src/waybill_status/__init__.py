"""The status service: applies lifecycle events to the ledger, relays the outbox, and alerts operators."""
