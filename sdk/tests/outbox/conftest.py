"""Names the fixtures of these tests."""

from application import accepting, application, leasing

__all__ = ["accepting", "application", "leasing"]
