"""Checks whether the contracts of this release can read the payloads that wait."""
