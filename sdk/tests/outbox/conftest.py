"""Names the fixtures of these tests."""

from application import accepting, application

__all__ = ["accepting", "application"]
