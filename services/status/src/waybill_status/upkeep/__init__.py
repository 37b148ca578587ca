"""Periodic work: reconciliation, pruning, measures."""
