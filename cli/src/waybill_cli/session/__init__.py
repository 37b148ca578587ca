"""Shared by every command: configuration, client of the gateway, abbreviated ids, listings."""
