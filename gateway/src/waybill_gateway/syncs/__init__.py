"""Syncs: records for other systems."""
