"""Applies lifecycle events to the ledger, sweeps the outbox, raises ops alerts."""
