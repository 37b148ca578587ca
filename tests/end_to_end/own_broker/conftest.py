"""What these tests share."""

from tests.end_to_end.own_broker.fixtures import stack

__all__ = ["stack"]
