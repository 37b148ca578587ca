"""What the ledger"s tests share."""

from desk_under_test import desk

__all__ = ["desk"]
