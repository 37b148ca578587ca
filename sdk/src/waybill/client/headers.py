"""Headers of every call."""

from functools import cache
from importlib.metadata import version


@cache
def user_agent() -> str:
    """The value of User-Agent."""
    return f"waybill-python/{version('waybill')}"
