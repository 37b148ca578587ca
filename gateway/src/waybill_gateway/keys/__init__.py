"""Kept keys: made, listed, rotated, revoked."""
