"""Versions of contracts: golden schemas, compatibility, upcasters, reading events of any released version."""
