"""Preparation of an installation before its first start: passwords, broker users, databases, schema."""
