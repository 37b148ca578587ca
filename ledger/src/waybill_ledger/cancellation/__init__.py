"""Cancelling tasks."""
