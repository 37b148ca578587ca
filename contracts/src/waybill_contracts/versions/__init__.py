"""Contracts over time: golden schemas, compatibility, upcasters, reading of any released version."""
